// SPDX-License-Identifier: Apache-2.0

exports.up = async (knex) => {
  await knex('no_such_table').insert({ id: 1 });
};

exports.down = async () => {};
