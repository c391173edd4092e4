# SPDX-License-Identifier: Apache-2.0

Sequel.migration do
  up do
    run "CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)"
    run "CREATE TABLE hits (n integer NOT NULL)"
    run "INSERT INTO posts (id, title) VALUES (1, 'first')"
  end
end
