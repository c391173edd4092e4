-- SPDX-License-Identifier: Apache-2.0
-- +migrate Up
CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL);

-- +migrate Down
