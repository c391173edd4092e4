-- SPDX-License-Identifier: Apache-2.0
-- +migrate Up
ALTER TABLE users ADD COLUMN email varchar(200);

-- +migrate Down
