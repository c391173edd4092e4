# SPDX-License-Identifier: Apache-2.0

class Slow < ActiveRecord::Migration[6.1]
  def up
    execute "INSERT INTO hits (n) VALUES (1)"
    if connection.adapter_name == "PostgreSQL"
      execute "SELECT pg_sleep(1)"
    else
      File.write(ENV["ASLEEP"], "") if ENV["ASLEEP"]
      sleep 1
    end
  end
end
