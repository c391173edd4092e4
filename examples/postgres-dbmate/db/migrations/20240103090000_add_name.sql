-- migrate:up
ALTER TABLE account ADD COLUMN name text;

-- migrate:down
ALTER TABLE account DROP COLUMN name;
