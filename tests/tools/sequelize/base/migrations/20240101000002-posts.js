// SPDX-License-Identifier: Apache-2.0

module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)");
    await queryInterface.sequelize.query("CREATE TABLE hits (n integer NOT NULL)");
    await queryInterface.sequelize.query("INSERT INTO posts (id, title) VALUES (1, 'first')");
  },
  async down() {},
};
