// SPDX-License-Identifier: Apache-2.0

module.exports = class Broken1704067200004 {
  async up(runner) {
    await runner.query("INSERT INTO no_such_table (id) VALUES (1)");
  }

  async down() {}
};
