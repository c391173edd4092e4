-- SPDX-License-Identifier: Apache-2.0
-- Version tables of migration tools that lockstep only reads. Types say nothing here: a time is
-- text, or milliseconds since 1970.

-- One row a column: schema, table, column, what kind of time it can hold.
-- name: tool_table
select nullif(t.schema, 'main'), t.name, c.name, 'plain'
from pragma_table_list t join pragma_table_info(t.name, t.schema) c
where t.name = :'table' collate nocase and t.schema = coalesce(:'schema', 'main')
order by c.cid

-- A tool's table may stand in another file.
-- name: tool_files
select name, file from pragma_database_list

-- name: tool_attach
attach database :'path' as :"name"

-- name: tool_rows
select :id, :second, :at from :"table" order by :order limit :limit

-- Only what ended well, and was not taken back.
-- name: tool_rows_prisma
select :id, :second, :at from :"table"
where finished_at is not null and rolled_back_at is null
order by :order limit :limit

-- name: tool_rows_sqitch
select :id, :second, :at from :"table" where project = :'project' order by :order limit :limit

-- name: tool_at_plain
case typeof(:"column") when 'text' then strftime('%Y-%m-%dT%H:%M:%SZ', :"column")
    else strftime('%Y-%m-%dT%H:%M:%SZ', :"column" / 1000.0, 'unixepoch') end

-- name: tool_digest
select :expression from (select :columns from :"table") t

-- name: tool_prisma_unfinished
select id, migration_name from :"table"
where finished_at is null and rolled_back_at is null order by started_at, id limit 100

-- name: tool_prisma_repair
update :"table" set rolled_back_at = cast(strftime('%s', 'now') as integer) * 1000
where id = :'id' and finished_at is null and rolled_back_at is null

-- name: tool_alembic_repair
delete from :"table" where version_num = :'revision'

-- name: tool_knex_lock
select count(*), coalesce(sum(is_locked), 0) from :"table"

-- One row, free, whatever was there.
-- name: tool_knex_repair
delete from :"table" where "index" > (select min("index") from :"table");
update :"table" set is_locked = 0

-- name: tool_yoyo_lock
select pid, strftime('%Y-%m-%dT%H:%M:%SZ', ctime) from :"table" limit 1

-- name: tool_yoyo_repair
delete from :"table"

-- name: tool_liquibase_lock
select lockedby, lockgranted from :"table" where locked limit 1

-- name: tool_liquibase_repair
update :"table" set locked = 0, lockgranted = null, lockedby = null
