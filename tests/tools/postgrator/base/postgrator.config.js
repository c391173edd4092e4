// SPDX-License-Identifier: Apache-2.0

const url = new URL(process.env.DATABASE_URL);

module.exports = {
  migrationPattern: 'migrations/*.sql',
  driver: 'pg',
  host: url.hostname,
  port: Number(url.port || 5432),
  database: url.pathname.slice(1),
  username: decodeURIComponent(url.username),
  password: decodeURIComponent(url.password),
};
