// SPDX-License-Identifier: Apache-2.0

exports.up = (pgm) => {
  pgm.sql("CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)");
};

exports.down = false;
