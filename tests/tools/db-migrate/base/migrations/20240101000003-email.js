// SPDX-License-Identifier: Apache-2.0

exports.up = async (db) => {
  await db.runSql("ALTER TABLE users ADD COLUMN email varchar(200)");
};

exports.down = async () => {};

exports._meta = { version: 1 };
