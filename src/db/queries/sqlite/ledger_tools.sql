-- SPDX-License-Identifier: Apache-2.0
-- Version tables of other tools, in their own shapes. Every _read gives: version, name, script,
-- kind, checksum, applied at, duration in ms, and the row's identity ("origin").

-- name: ledger_dbmate_create
create table if not exists :"table" (version varchar(128) primary key)

-- name: ledger_dbmate_read
select version, null, null, 'applied', null, null, null, rowid
from :"table" order by version

-- name: ledger_dbmate_origin
coalesce((select 'dbmate:' || rowid from :"table" where version = :'version'), 'dbmate:')

-- name: ledger_dbmate_applied
insert into :"table" (version) values (:'version')

-- name: ledger_dbmate_reverted
delete from :"table" where version = :'version'

-- name: ledger_golang_create
create table if not exists :"table" (version uint64, dirty bool)

-- name: ledger_golang_seed
create unique index if not exists :"index" on :"bare" (version)

-- name: ledger_golang_read
select version, null, null, case when dirty then 'failed' else 'applied' end, null, null, null, ''
from :"table"

-- name: ledger_golang_origin
'golang-migrate:'

-- name: ledger_golang_applied
delete from :"table";
insert into :"table" (version, dirty) values (:number, false)

-- name: ledger_golang_begun
delete from :"table";
insert into :"table" (version, dirty) values (:number, true)

-- name: ledger_golang_reverted
delete from :"table"

-- name: ledger_golang_previous
insert into :"table" (version, dirty) values (:previous, false)

-- name: ledger_goose_create
create table if not exists :"table" (
    id integer primary key autoincrement,
    version_id integer not null,
    is_applied integer not null,
    tstamp timestamp default (datetime('now'))
)

-- name: ledger_goose_seed
insert into :"table" (version_id, is_applied)
select 0, true where not exists (select 1 from :"table")

-- name: ledger_goose_read
select version_id, null, null, case when is_applied then 'applied' else 'reverted' end, null,
    strftime('%Y-%m-%dT%H:%M:%SZ', tstamp), null, id
from :"table" order by id

-- name: ledger_goose_origin
'goose:' || coalesce((select max(id) from :"table" where version_id = :number), '')

-- name: ledger_goose_applied
insert into :"table" (version_id, is_applied) values (:number, true)

-- name: ledger_goose_reverted
delete from :"table" where version_id = :number

-- name: ledger_flyway_create
create table if not exists :"table" (
    installed_rank int not null primary key,
    version varchar(50),
    description varchar(200) not null,
    type varchar(20) not null,
    script varchar(1000) not null,
    checksum int,
    installed_by varchar(100) not null,
    installed_on text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    execution_time int not null,
    success boolean not null
)

-- name: ledger_flyway_seed
create index if not exists :"index" on :"bare" (success)

-- name: ledger_flyway_read
select version, description, script, type || case when success then '+' else '-' end, checksum,
    strftime('%Y-%m-%dT%H:%M:%SZ', installed_on), execution_time, installed_rank
from :"table" order by installed_rank

-- name: ledger_flyway_origin
'flyway:' || coalesce((select max(installed_rank) from :"table"
    where case when :'stored' is null then version is null and description = :'description'
          else version = :'stored' end), '')

-- name: ledger_flyway_applied
delete from :"table" where not success
    and case when :'stored' is null then version is null and description = :'description'
        else version = :'stored' end;
insert into :"table" (installed_rank, version, description, type, script, checksum, installed_by,
    execution_time, success)
select coalesce(max(installed_rank), 0) + 1, :'stored', :'description', 'SQL', :'script',
    :crc, '', :elapsed, true
from :"table"

-- name: ledger_flyway_failed
insert into :"table" (installed_rank, version, description, type, script, checksum, installed_by,
    execution_time, success)
select coalesce(max(installed_rank), 0) + 1, :'stored', :'description', 'SQL', :'script',
    :crc, '', 0, false
from :"table"
having exists (select 1 from :"own" where version = :'version')
    and not exists (select 1 from :"table" where not success
        and case when :'stored' is null then version is null and description = :'description'
            else version = :'stored' end)

-- name: ledger_flyway_reverted
insert into :"table" (installed_rank, version, description, type, script, checksum, installed_by,
    execution_time, success)
select coalesce(max(installed_rank), 0) + 1, :'stored', :'description', 'UNDO_SQL', :'script',
    null, '', 0, true
from :"table"

-- name: ledger_flyway_accept
update :"table" set checksum = :crc
where installed_rank = (select max(installed_rank) from :"table"
    where case when :'stored' is null then version is null and description = :'description'
          else version = :'stored' end)

-- name: ledger_flyway_forget
delete from :"table" where not success
    and case when :'stored' is null then version is null and description = :'description'
        else version = :'stored' end

-- name: ledger_diesel_create
create table if not exists :"table" (
    version varchar(50) primary key not null,
    run_on timestamp not null default current_timestamp
)

-- name: ledger_diesel_read
select version, null, null, 'applied', null, strftime('%Y-%m-%dT%H:%M:%SZ', run_on), null, rowid
from :"table" order by version

-- name: ledger_diesel_origin
coalesce((select 'diesel:' || rowid from :"table" where version = :'version'), 'diesel:')

-- name: ledger_diesel_applied
insert into :"table" (version) values (:'version')

-- name: ledger_diesel_reverted
delete from :"table" where version = :'version'

-- name: ledger_sqlx_create
create table if not exists :"table" (
    version bigint primary key,
    description text not null,
    installed_on timestamp not null default current_timestamp,
    success boolean not null,
    checksum blob not null,
    execution_time bigint not null
)

-- name: ledger_sqlx_read
select version, description, null, case when success then 'applied' else 'failed' end,
    lower(hex(checksum)), strftime('%Y-%m-%dT%H:%M:%SZ', installed_on),
    case when execution_time < 0 then null else execution_time / 1000000 end, installed_on
from :"table" order by version

-- name: ledger_sqlx_origin
coalesce((select 'sqlx:' || installed_on from :"table" where version = :number), 'sqlx:')

-- name: ledger_sqlx_applied
insert into :"table" (version, description, success, checksum, execution_time)
values (:number, :'description', true, x:'tool_checksum', :elapsed * 1000000)
on conflict (version) do update set description = excluded.description,
    installed_on = current_timestamp, success = true, checksum = excluded.checksum,
    execution_time = excluded.execution_time

-- name: ledger_sqlx_begun
insert into :"table" (version, description, success, checksum, execution_time)
values (:number, :'description', false, x:'tool_checksum', -1)
on conflict (version) do update set success = false, checksum = excluded.checksum,
    execution_time = -1

-- name: ledger_sqlx_reverted
delete from :"table" where version = :number

-- name: ledger_sqlx_accept
update :"table" set checksum = x:'tool_checksum' where version = :number

-- name: ledger_sqlx_forget
delete from :"table" where version = :number and not success

-- Prisma 7 and older: the shape and what its runner writes are those of prisma-engines
-- (schema-engine/connectors/sql-schema-connector/src: flavour/sqlite.rs, sql_migration_persistence.rs).
-- A row without finished_at failed, or is under way; with rolled_back_at it does not count.
-- Its engine writes times as milliseconds since 1970 (quaint, sqlite/native/conversion.rs); what
-- goes through a driver of JavaScript is text.
-- name: ledger_prisma_create
create table if not exists :"table" (
    id text primary key not null,
    checksum text not null,
    finished_at datetime,
    migration_name text not null,
    logs text,
    rolled_back_at datetime,
    started_at datetime not null default current_timestamp,
    applied_steps_count integer unsigned not null default 0
)

-- name: ledger_prisma_read
select migration_name, null, null, case when finished_at is null then 'failed' else 'applied' end,
    checksum,
    case typeof(finished_at) when 'text' then strftime('%Y-%m-%dT%H:%M:%SZ', finished_at)
        else strftime('%Y-%m-%dT%H:%M:%SZ', finished_at / 1000.0, 'unixepoch') end,
    case when typeof(finished_at) = 'integer' and typeof(started_at) = 'integer'
        then finished_at - started_at end, id
from :"table" where rolled_back_at is null
order by finished_at is null, started_at, id

-- name: ledger_prisma_origin
'prisma:' || coalesce((select id from :"table"
    where migration_name = :'version' and rolled_back_at is null
    order by finished_at is null desc, started_at desc, id desc limit 1), '')

-- name: ledger_prisma_applied
update :"table" set finished_at = cast((julianday('now') - 2440587.5) * 86400000 as integer),
    applied_steps_count = 1, checksum = :'tool_checksum'
where migration_name = :'version' and finished_at is null and rolled_back_at is null;
insert into :"table" (id, checksum, finished_at, migration_name, started_at, applied_steps_count)
select lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
        || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    :'tool_checksum', cast((julianday('now') - 2440587.5) * 86400000 as integer), :'version',
    cast((julianday('now') - 2440587.5) * 86400000 as integer) - :elapsed, 1
where not exists (select 1 from :"table"
    where migration_name = :'version' and rolled_back_at is null)

-- name: ledger_prisma_begun
insert into :"table" (id, checksum, migration_name, started_at)
select lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
        || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    :'tool_checksum', :'version', cast((julianday('now') - 2440587.5) * 86400000 as integer)
where not exists (select 1 from :"table"
    where migration_name = :'version' and finished_at is null and rolled_back_at is null)

-- name: ledger_prisma_accept
update :"table" set checksum = :'tool_checksum'
where migration_name = :'version' and rolled_back_at is null

-- name: ledger_prisma_forget
update :"table" set rolled_back_at = cast((julianday('now') - 2440587.5) * 86400000 as integer)
where migration_name = :'version' and finished_at is null and rolled_back_at is null

-- Drizzle 0: drizzle-orm's src/sqlite-core/dialect.ts, `migrate`: SERIAL means nothing to SQLite,
-- so that every id is NULL.
-- name: ledger_drizzle_create
create table if not exists :"table" (id serial primary key, hash text not null, created_at numeric)

-- name: ledger_drizzle_read
select cast(created_at as integer), null, null, 'applied', hash, null, null, rowid
from :"table" where created_at is not null order by rowid

-- name: ledger_drizzle_origin
'drizzle:' || coalesce((select max(rowid) from :"table" where created_at = :number), '')

-- name: ledger_drizzle_applied
insert into :"table" (hash, created_at) values (:'tool_checksum', :number)

-- name: ledger_drizzle_accept
update :"table" set hash = :'tool_checksum' where created_at = :number
