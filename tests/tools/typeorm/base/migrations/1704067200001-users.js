// SPDX-License-Identifier: Apache-2.0

module.exports = class Users1704067200001 {
  async up(runner) {
    await runner.query("CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)");
  }

  async down() {}
};
