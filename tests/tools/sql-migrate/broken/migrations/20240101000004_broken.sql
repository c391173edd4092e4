-- SPDX-License-Identifier: Apache-2.0
-- +migrate Up
INSERT INTO no_such_table (id) VALUES (1);

-- +migrate Down
