-- SPDX-License-Identifier: Apache-2.0
-- Deploy slow
BEGIN;
INSERT INTO hits (n) VALUES (1);
SELECT pg_sleep(1);
COMMIT;
