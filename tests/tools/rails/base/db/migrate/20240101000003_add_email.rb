# SPDX-License-Identifier: Apache-2.0

class AddEmail < ActiveRecord::Migration[6.1]
  def up
    add_column :users, :email, :string
  end
end
