// SPDX-License-Identifier: Apache-2.0

module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query("INSERT INTO hits (n) VALUES (1)");
    await queryInterface.sequelize.query("SELECT pg_sleep(1)");
  },
  async down() {},
};
