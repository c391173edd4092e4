// SPDX-License-Identifier: Apache-2.0

const { defineConfig } = require('@mikro-orm/postgresql');
const { Migrator } = require('@mikro-orm/migrations');

module.exports = defineConfig({
  clientUrl: process.env.DATABASE_URL,
  entities: [],
  discovery: { warnWhenNoEntities: false },
  extensions: [Migrator],
  migrations: { path: 'migrations', snapshot: false },
});
