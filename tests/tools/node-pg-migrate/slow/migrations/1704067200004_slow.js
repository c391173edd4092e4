// SPDX-License-Identifier: Apache-2.0

exports.up = (pgm) => {
  pgm.sql("INSERT INTO hits (n) VALUES (1)");
  pgm.sql("SELECT pg_sleep(1)");
};

exports.down = false;
