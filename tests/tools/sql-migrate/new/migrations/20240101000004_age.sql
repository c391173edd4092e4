-- SPDX-License-Identifier: Apache-2.0
-- +migrate Up
ALTER TABLE users ADD COLUMN age integer;

-- +migrate Down
