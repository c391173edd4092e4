// SPDX-License-Identifier: Apache-2.0

const fs = require('fs');
const { Client } = require('pg');

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS steps (name text PRIMARY KEY)');
  for (const name of fs.readdirSync('steps').sort()) {
    await client.query('BEGIN');
    const done = await client.query('SELECT 1 FROM steps WHERE name = $1', [name]);
    if (!done.rowCount) {
      await client.query(fs.readFileSync(`steps/${name}`, 'utf8'));
      await client.query('INSERT INTO steps (name) VALUES ($1)', [name]);
    }
    await client.query('COMMIT');
  }
  await client.end();
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
