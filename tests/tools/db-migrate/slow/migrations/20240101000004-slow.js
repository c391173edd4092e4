// SPDX-License-Identifier: Apache-2.0

exports.up = async (db) => {
  await db.runSql("INSERT INTO hits (n) VALUES (1)");
  await db.runSql("SELECT pg_sleep(1)");
};

exports.down = async () => {};

exports._meta = { version: 1 };
