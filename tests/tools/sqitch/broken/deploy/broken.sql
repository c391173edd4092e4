-- SPDX-License-Identifier: Apache-2.0
-- Deploy broken
BEGIN;
INSERT INTO no_such_table (id) VALUES (1);
COMMIT;
