// SPDX-License-Identifier: Apache-2.0

module.exports = class Email1704067200003 {
  async up(runner) {
    await runner.query("ALTER TABLE users ADD COLUMN email varchar(200)");
  }

  async down() {}
};
