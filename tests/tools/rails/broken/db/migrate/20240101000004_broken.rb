# SPDX-License-Identifier: Apache-2.0

class Broken < ActiveRecord::Migration[6.1]
  def up
    execute "INSERT INTO no_such_table (id) VALUES (1)"
  end
end
