# SPDX-License-Identifier: Apache-2.0

Sequel.migration do
  up do
    run "ALTER TABLE users ADD COLUMN age integer"
  end
end
