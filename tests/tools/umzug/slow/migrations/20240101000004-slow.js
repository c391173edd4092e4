// SPDX-License-Identifier: Apache-2.0

module.exports = {
  async up({ context }) {
    await context.sequelize.query("INSERT INTO hits (n) VALUES (1)");
    await context.sequelize.query("SELECT pg_sleep(1)");
  },
  async down() {},
};
