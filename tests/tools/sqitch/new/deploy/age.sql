-- SPDX-License-Identifier: Apache-2.0
-- Deploy age
BEGIN;
ALTER TABLE users ADD COLUMN age integer;
COMMIT;
