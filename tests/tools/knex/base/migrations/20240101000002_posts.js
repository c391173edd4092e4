// SPDX-License-Identifier: Apache-2.0

exports.up = async (knex) => {
  await knex.schema.createTable('posts', (t) => {
    t.increments();
    t.string('title', 100).notNullable();
  });
  await knex.schema.createTable('hits', (t) => t.integer('n').notNullable());
  await knex('posts').insert({ title: 'first' });
};

exports.down = async () => {};
