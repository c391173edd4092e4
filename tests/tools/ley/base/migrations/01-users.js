// SPDX-License-Identifier: Apache-2.0

exports.up = async (client) => {
  await client.query("CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)");
};

exports.down = async () => {};
