// SPDX-License-Identifier: Apache-2.0

const { Migration } = require('@mikro-orm/migrations');

exports.Migration20240101000001_users = class extends Migration {
  async up() {
    this.addSql("CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)");
  }
};
