// SPDX-License-Identifier: Apache-2.0

exports.up = async (client) => {
  await client.query("ALTER TABLE users ADD COLUMN email varchar(200)");
};

exports.down = async () => {};
