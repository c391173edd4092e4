-- SPDX-License-Identifier: Apache-2.0
-- Version tables of migration tools that lockstep only reads. No schema: what unqualified names
-- mean.

-- One row a column: schema, table, column, what kind of time it can hold.
-- name: tool_table
select n.nspname, c.relname, a.attname,
    case t.typname when 'timestamptz' then 'zoned' when 'timestamp' then 'plain'
        when 'int8' then 'millis' else '' end
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
where c.relname = :'table' and c.relkind in ('r', 'p', 'v', 'f')
    and case when :'schema'::text is null then pg_catalog.pg_table_is_visible(c.oid)
        else n.nspname = :'schema' end
order by a.attnum

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
pg_catalog.to_char(:"column" at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')

-- name: tool_at_plain
pg_catalog.to_char(:"column", 'YYYY-MM-DD"T"HH24:MI:SS"Z"')

-- name: tool_at_local
pg_catalog.to_char(:"column"::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')

-- name: tool_at_millis
pg_catalog.to_char(pg_catalog.to_timestamp(:"column" / 1000.0) at time zone 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS"Z"')

-- name: tool_digest
select :expression from (select :columns from :"table") t

-- name: tool_prisma_unfinished
select id, migration_name from :"table"
where finished_at is null and rolled_back_at is null order by started_at, id limit 100

-- name: tool_prisma_repair
update :"table" set rolled_back_at = pg_catalog.now()
where id = :'id' and finished_at is null and rolled_back_at is null

-- name: tool_alembic_repair
delete from :"table" where version_num = :'revision'

-- name: tool_knex_lock
select count(*), coalesce(sum(is_locked), 0) from :"table"

-- One row, free, whatever was there.
-- name: tool_knex_repair
delete from :"table" where index > (select min(index) from :"table");
update :"table" set is_locked = 0

-- name: tool_yoyo_lock
select pid, pg_catalog.to_char(ctime, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from :"table" limit 1

-- name: tool_yoyo_repair
delete from :"table"

-- name: tool_liquibase_lock
select lockedby, pg_catalog.to_char(lockgranted, 'YYYY-MM-DD HH24:MI:SS') from :"table"
where locked limit 1

-- name: tool_liquibase_repair
update :"table" set locked = false, lockgranted = null, lockedby = null

-- A build that goes on just now holds this lock on the table; the index of a partitioned table is
-- invalid until its parts have theirs.
-- name: tool_invalid_indexes
select n.nspname, c.relname, t.relname
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relkind = 'i'
join pg_catalog.pg_class t on t.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid
    and case when :'schema'::text is null
        then n.nspname = any (pg_catalog.current_schemas(false)) else n.nspname = :'schema' end
    and not exists (select 1 from pg_catalog.pg_locks l
        where l.locktype = 'relation' and l.relation = i.indrelid and l.granted
            and l.mode = 'ShareUpdateExclusiveLock'
            and l.database = (select oid from pg_catalog.pg_database
                where datname = pg_catalog.current_database()))
order by 1, 2 limit 100

-- name: tool_index_repair
drop index concurrently if exists :"index"

-- What this role may do that no migration needs.
-- name: role_strength
select rtrim(case when rolsuper then 'superuser, ' else '' end
        || case when rolcreaterole then 'CREATEROLE, ' else '' end
        || case when rolbypassrls then 'BYPASSRLS, ' else '' end
        || case when rolreplication then 'REPLICATION, ' else '' end, ', ')
from pg_roles where rolname = current_user
