// SPDX-License-Identifier: Apache-2.0

module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query("CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)");
  },
  async down() {},
};
