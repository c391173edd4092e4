// SPDX-License-Identifier: Apache-2.0

exports.up = (pgm) => {
  pgm.sql("ALTER TABLE users ADD COLUMN email varchar(200)");
};

exports.down = false;
