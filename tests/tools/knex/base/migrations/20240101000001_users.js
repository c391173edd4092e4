// SPDX-License-Identifier: Apache-2.0

exports.up = async (knex) => {
  await knex.schema.createTable('users', (t) => {
    t.increments();
    t.string('name', 100).notNullable();
  });
};

exports.down = async () => {};
