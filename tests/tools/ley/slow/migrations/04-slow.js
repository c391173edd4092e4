// SPDX-License-Identifier: Apache-2.0

exports.up = async (client) => {
  await client.query("INSERT INTO hits (n) VALUES (1)");
  await client.query("SELECT pg_sleep(1)");
};

exports.down = async () => {};
