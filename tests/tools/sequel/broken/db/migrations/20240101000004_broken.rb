# SPDX-License-Identifier: Apache-2.0

Sequel.migration do
  up do
    run "INSERT INTO no_such_table (id) VALUES (1)"
  end
end
