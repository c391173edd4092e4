# SPDX-License-Identifier: Apache-2.0

Sequel.migration do
  up do
    run "CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)"
  end
end
