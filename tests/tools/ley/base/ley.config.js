// SPDX-License-Identifier: Apache-2.0

module.exports = { connectionString: process.env.DATABASE_URL };
