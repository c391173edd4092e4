// SPDX-License-Identifier: Apache-2.0

module.exports = {
  async up({ context }) {
    await context.sequelize.query("INSERT INTO no_such_table (id) VALUES (1)");
  },
  async down() {},
};
