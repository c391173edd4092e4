// SPDX-License-Identifier: Apache-2.0

exports.up = async (client) => {
  await client.query("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)");
  await client.query("CREATE TABLE hits (n integer NOT NULL)");
  await client.query("INSERT INTO posts (id, title) VALUES (1, 'first')");
};

exports.down = async () => {};
