// SPDX-License-Identifier: Apache-2.0

exports.up = async (client) => {
  await client.query("INSERT INTO no_such_table (id) VALUES (1)");
};

exports.down = async () => {};
