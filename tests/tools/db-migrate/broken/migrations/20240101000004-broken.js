// SPDX-License-Identifier: Apache-2.0

exports.up = async (db) => {
  await db.runSql("INSERT INTO no_such_table (id) VALUES (1)");
};

exports.down = async () => {};

exports._meta = { version: 1 };
