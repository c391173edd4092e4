-- SPDX-License-Identifier: Apache-2.0
-- Deploy email
BEGIN;
ALTER TABLE users ADD COLUMN email varchar(200);
COMMIT;
