# SPDX-License-Identifier: Apache-2.0

class CreateUsers < ActiveRecord::Migration[6.1]
  def up
    create_table(:users) { |t| t.string :name, null: false }
  end
end
