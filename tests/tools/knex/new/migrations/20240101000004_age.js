// SPDX-License-Identifier: Apache-2.0

exports.up = async (knex) => {
  await knex.schema.alterTable('users', (t) => t.integer('age'));
};

exports.down = async () => {};
