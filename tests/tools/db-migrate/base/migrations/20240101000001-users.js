// SPDX-License-Identifier: Apache-2.0

exports.up = async (db) => {
  await db.runSql("CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)");
};

exports.down = async () => {};

exports._meta = { version: 1 };
