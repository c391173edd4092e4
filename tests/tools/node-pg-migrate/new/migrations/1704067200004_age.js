// SPDX-License-Identifier: Apache-2.0

exports.up = (pgm) => {
  pgm.sql("ALTER TABLE users ADD COLUMN age integer");
};

exports.down = false;
