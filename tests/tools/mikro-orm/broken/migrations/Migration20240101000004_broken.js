// SPDX-License-Identifier: Apache-2.0

const { Migration } = require('@mikro-orm/migrations');

exports.Migration20240101000004_broken = class extends Migration {
  async up() {
    this.addSql("INSERT INTO no_such_table (id) VALUES (1)");
  }
};
