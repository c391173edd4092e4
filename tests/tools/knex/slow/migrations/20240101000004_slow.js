// SPDX-License-Identifier: Apache-2.0

const fs = require('fs');

exports.up = async (knex) => {
  await knex('hits').insert({ n: 1 });
  if (knex.client.config.client === 'pg') {
    await knex.raw('SELECT pg_sleep(1)');
  } else {
    if (process.env.ASLEEP) fs.writeFileSync(process.env.ASLEEP, '');
    await new Promise((done) => setTimeout(done, 1000));
  }
};

exports.down = async () => {};
