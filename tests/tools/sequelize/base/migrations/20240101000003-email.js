// SPDX-License-Identifier: Apache-2.0

module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query("ALTER TABLE users ADD COLUMN email varchar(200)");
  },
  async down() {},
};
