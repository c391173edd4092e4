// SPDX-License-Identifier: Apache-2.0

exports.up = (pgm) => {
  pgm.sql("INSERT INTO no_such_table (id) VALUES (1)");
};

exports.down = false;
