-- SPDX-License-Identifier: Apache-2.0
-- +migrate Up
INSERT INTO hits (n) VALUES (1);
SELECT pg_sleep(1);

-- +migrate Down
