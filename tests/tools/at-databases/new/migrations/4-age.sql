-- SPDX-License-Identifier: Apache-2.0
ALTER TABLE users ADD COLUMN age integer;
