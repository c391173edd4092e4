// SPDX-License-Identifier: Apache-2.0

exports.up = async (db) => {
  await db.runSql("ALTER TABLE users ADD COLUMN age integer");
};

exports.down = async () => {};

exports._meta = { version: 1 };
