// SPDX-License-Identifier: Apache-2.0

exports.up = (pgm) => {
  pgm.sql("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)");
  pgm.sql("CREATE TABLE hits (n integer NOT NULL)");
  pgm.sql("INSERT INTO posts (id, title) VALUES (1, 'first')");
};

exports.down = false;
