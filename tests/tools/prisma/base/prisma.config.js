// SPDX-License-Identifier: Apache-2.0
const { PrismaPg } = require('@prisma/adapter-pg');

// The schema engine as WebAssembly: nothing is downloaded. It asks for columns of type `name` (19),
// which the adapter does not know; they are text (25).
class Adapter extends PrismaPg {
  async connect() {
    const connection = await super.connect();
    const performIO = connection.performIO.bind(connection);
    connection.performIO = async (query) => {
      const result = await performIO(query);
      for (const field of result.fields) {
        if (field.dataTypeID === 19) field.dataTypeID = 25;
      }
      return result;
    };
    return connection;
  }
}

// Its limit of 10 s for the advisory lock is never cancelled, and would keep the process until then.
const later = globalThis.setTimeout;
globalThis.setTimeout = (what, ms, ...more) => {
  const timer = later(what, ms, ...more);
  return ms === 10000 ? timer.unref() : timer;
};

module.exports = {
  schema: 'prisma/schema.prisma',
  experimental: { adapter: true },
  engine: 'js',
  adapter: async () =>
    new Adapter({ connectionString: process.env.DATABASE_URL, idleTimeoutMillis: 50 }),
};
