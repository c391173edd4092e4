# SPDX-License-Identifier: Apache-2.0

Sequel.migration do
  up do
    run "INSERT INTO hits (n) VALUES (1)"
    run "SELECT pg_sleep(1)"
  end
end
