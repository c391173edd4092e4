# SPDX-License-Identifier: Apache-2.0

class AddAge < ActiveRecord::Migration[6.1]
  def up
    add_column :users, :age, :integer
  end
end
