// SPDX-License-Identifier: Apache-2.0

const url = process.env.DATABASE_URL;
const client = /^postgres/.test(url) ? 'pg' : /^mysql/.test(url) ? 'mysql2' : 'better-sqlite3';

module.exports = {
  client,
  connection: client === 'better-sqlite3' ? { filename: url.replace('sqlite:///', '') } : url,
  useNullAsDefault: client === 'better-sqlite3',
};
