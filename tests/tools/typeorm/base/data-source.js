// SPDX-License-Identifier: Apache-2.0

const { DataSource } = require('typeorm');

module.exports = new DataSource({
  type: 'postgres',
  url: process.env.DATABASE_URL,
  entities: [],
  migrations: ['migrations/*.js'],
});
