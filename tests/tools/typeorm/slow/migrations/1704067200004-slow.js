// SPDX-License-Identifier: Apache-2.0

module.exports = class Slow1704067200004 {
  async up(runner) {
    await runner.query("INSERT INTO hits (n) VALUES (1)");
    await runner.query("SELECT pg_sleep(1)");
  }

  async down() {}
};
