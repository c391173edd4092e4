-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY account_created_at ON account (created_at);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY account_created_at;
