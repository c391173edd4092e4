# SPDX-License-Identifier: Apache-2.0

class CreatePosts < ActiveRecord::Migration[6.1]
  def up
    create_table(:posts) { |t| t.string :title, null: false }
    create_table(:hits) { |t| t.integer :n, null: false }
    execute "INSERT INTO posts (title) VALUES ('first')"
  end
end
