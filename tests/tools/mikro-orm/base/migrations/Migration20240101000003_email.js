// SPDX-License-Identifier: Apache-2.0

const { Migration } = require('@mikro-orm/migrations');

exports.Migration20240101000003_email = class extends Migration {
  async up() {
    this.addSql("ALTER TABLE users ADD COLUMN email varchar(200)");
  }
};
