// SPDX-License-Identifier: Apache-2.0

const { Migration } = require('@mikro-orm/migrations');

exports.Migration20240101000002_posts = class extends Migration {
  async up() {
    this.addSql("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)");
    this.addSql("CREATE TABLE hits (n integer NOT NULL)");
    this.addSql("INSERT INTO posts (id, title) VALUES (1, 'first')");
  }
};
