// SPDX-License-Identifier: Apache-2.0

exports.up = async (db) => {
  await db.runSql("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)");
  await db.runSql("CREATE TABLE hits (n integer NOT NULL)");
  await db.runSql("INSERT INTO posts (id, title) VALUES (1, 'first')");
};

exports.down = async () => {};

exports._meta = { version: 1 };
