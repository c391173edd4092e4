-- SPDX-License-Identifier: Apache-2.0
INSERT INTO no_such_table (id) VALUES (1);
