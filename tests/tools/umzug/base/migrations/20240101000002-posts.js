// SPDX-License-Identifier: Apache-2.0

module.exports = {
  async up({ context }) {
    await context.sequelize.query("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)");
    await context.sequelize.query("CREATE TABLE hits (n integer NOT NULL)");
    await context.sequelize.query("INSERT INTO posts (id, title) VALUES (1, 'first')");
  },
  async down() {},
};
