// SPDX-License-Identifier: Apache-2.0

const { Migration } = require('@mikro-orm/migrations');

exports.Migration20240101000004_slow = class extends Migration {
  async up() {
    this.addSql("INSERT INTO hits (n) VALUES (1)");
    this.addSql("SELECT pg_sleep(1)");
  }
};
