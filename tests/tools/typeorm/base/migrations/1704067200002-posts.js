// SPDX-License-Identifier: Apache-2.0

module.exports = class Posts1704067200002 {
  async up(runner) {
    await runner.query("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)");
    await runner.query("CREATE TABLE hits (n integer NOT NULL)");
    await runner.query("INSERT INTO posts (id, title) VALUES (1, 'first')");
  }

  async down() {}
};
