// SPDX-License-Identifier: Apache-2.0

const database = { use_env_variable: 'DATABASE_URL', dialect: 'postgres' };

module.exports = { development: database, production: database };
