-- SPDX-License-Identifier: Apache-2.0
-- Version tables of migration tools that lockstep only reads. No schema: the connection's database.

-- One row a column: schema, table, column, what kind of time it can hold.
-- name: tool_table
select table_schema, table_name, column_name,
    case data_type when 'timestamp' then 'zoned' when 'datetime' then 'plain'
        when 'bigint' then 'millis' else '' end
from information_schema.columns
where table_schema = coalesce(:'schema', database()) and table_name = :'table'
order by ordinal_position

-- name: tool_rows
select :id, :second, :at from :"table" order by :order limit :limit

-- Only what ended well, and was not taken back.
-- name: tool_rows_prisma
select :id, :second, :at from :"table"
where finished_at is not null and rolled_back_at is null
order by :order limit :limit

-- name: tool_rows_sqitch
select :id, :second, :at from :"table" where project = :'project' order by :order limit :limit

-- name: tool_at_zoned
date_format(convert_tz(:"column", @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%sZ')

-- name: tool_at_plain
date_format(:"column", '%Y-%m-%dT%H:%i:%sZ')

-- name: tool_at_local
date_format(convert_tz(:"column", @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%sZ')

-- name: tool_at_millis
date_format(convert_tz(from_unixtime(:"column" / 1000), @@session.time_zone, '+00:00'),
    '%Y-%m-%dT%H:%i:%sZ')

-- name: tool_digest
select :expression from (select :columns from :"table") t

-- name: tool_prisma_unfinished
select id, migration_name from :"table"
where finished_at is null and rolled_back_at is null order by started_at, id limit 100

-- name: tool_prisma_repair
update :"table" set rolled_back_at = utc_timestamp(3)
where id = :'id' and finished_at is null and rolled_back_at is null

-- name: tool_alembic_repair
delete from :"table" where version_num = :'revision'

-- name: tool_knex_lock
select count(*), coalesce(sum(is_locked), 0) from :"table"

-- One row, free, whatever was there.
-- name: tool_knex_repair
delete from :"table" order by `index` desc limit :more;
update :"table" set is_locked = 0

-- name: tool_yoyo_lock
select pid, date_format(ctime, '%Y-%m-%dT%H:%i:%sZ') from :"table" limit 1

-- name: tool_yoyo_repair
delete from :"table"

-- name: tool_liquibase_lock
select lockedby, date_format(lockgranted, '%Y-%m-%d %H:%i:%s') from :"table" where locked limit 1

-- name: tool_liquibase_repair
update :"table" set locked = 0, lockgranted = null, lockedby = null
