// SPDX-License-Identifier: Apache-2.0

module.exports = class Age1704067200004 {
  async up(runner) {
    await runner.query("ALTER TABLE users ADD COLUMN age integer");
  }

  async down() {}
};
