-- SPDX-License-Identifier: Apache-2.0
-- Version tables of other tools, in their own shapes. Every _read gives: version, name, script,
-- kind, checksum, applied at, duration in ms, and the row's identity ("origin").

-- name: ledger_dbmate_create
create table if not exists :"table" (version varchar(128) primary key)

-- name: ledger_dbmate_read
select version, null, null, 'applied', null, null, null, version
from :"table" order by binary version

-- name: ledger_dbmate_origin
concat('dbmate:', :'version')

-- name: ledger_dbmate_applied
insert into :"table" (version) values (:'version')

-- name: ledger_dbmate_reverted
delete from :"table" where version = :'version'

-- name: ledger_golang_create
create table if not exists :"table" (version bigint not null primary key, dirty boolean not null)

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
    id bigint unsigned not null auto_increment,
    version_id bigint not null,
    is_applied boolean not null,
    tstamp timestamp null default now(),
    primary key (id)
)

-- name: ledger_goose_seed
insert into :"table" (version_id, is_applied)
select 0, true from dual where not exists (select 1 from :"table")

-- name: ledger_goose_read
select version_id, null, null, case when is_applied then 'applied' else 'reverted' end, null,
    date_format(convert_tz(tstamp, @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%sZ'),
    null, id
from :"table" order by id

-- name: ledger_goose_origin
concat('goose:', coalesce((select max(id) from :"table" where version_id = :number), ''))

-- name: ledger_goose_applied
insert into :"table" (version_id, is_applied) values (:number, true)

-- name: ledger_goose_reverted
delete from :"table" where version_id = :number

-- name: ledger_flyway_create
create table if not exists :"table" (
    installed_rank int not null,
    version varchar(50),
    description varchar(200) not null,
    type varchar(20) not null,
    script varchar(1000) not null,
    checksum int,
    installed_by varchar(100) not null,
    installed_on timestamp not null default current_timestamp,
    execution_time int not null,
    success boolean not null,
    constraint :"primary_key" primary key (installed_rank),
    index :"index" (success)
) engine = InnoDB

-- name: ledger_flyway_read
select version, description, script, concat(type, case when success then '+' else '-' end),
    checksum,
    date_format(convert_tz(installed_on, @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%sZ'),
    execution_time, installed_rank
from :"table" order by installed_rank

-- name: ledger_flyway_origin
concat('flyway:', coalesce((select max(installed_rank) from :"table"
    where case when :'stored' is null then version is null and description = :'description'
        else version = :'stored' end), ''))

-- name: ledger_flyway_applied
delete from :"table" where not success
    and case when :'stored' is null then version is null and description = :'description'
        else version = :'stored' end;
insert into :"table" (installed_rank, version, description, type, script, checksum, installed_by,
    execution_time, success)
select coalesce(max(installed_rank), 0) + 1, :'stored', :'description', 'SQL', :'script',
    :crc, substring_index(user(), '@', 1), :elapsed, true
from :"table"

-- name: ledger_flyway_failed
insert into :"table" (installed_rank, version, description, type, script, checksum, installed_by,
    execution_time, success)
select coalesce(m.highest, 0) + 1, :'stored', :'description', 'SQL', :'script', :crc,
    substring_index(user(), '@', 1), 0, false
from (select max(installed_rank) as highest from :"table") m
where exists (select 1 from :"own" where version = :'version')
    and not exists (select 1 from :"table" where not success
        and case when :'stored' is null then version is null and description = :'description'
        else version = :'stored' end)

-- name: ledger_flyway_reverted
insert into :"table" (installed_rank, version, description, type, script, checksum, installed_by,
    execution_time, success)
select coalesce(max(installed_rank), 0) + 1, :'stored', :'description', 'UNDO_SQL', :'script',
    null, substring_index(user(), '@', 1), 0, true
from :"table"

-- name: ledger_flyway_accept
update :"table" set checksum = :crc
where installed_rank = (select r.highest from (select max(installed_rank) as highest from :"table"
    where case when :'stored' is null then version is null and description = :'description'
        else version = :'stored' end) r)

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
select version, null, null, 'applied', null,
    date_format(convert_tz(run_on, @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%sZ'),
    null, date_format(run_on, '%Y%m%d%H%i%s')
from :"table" order by binary version

-- name: ledger_diesel_origin
coalesce((select concat('diesel:', date_format(run_on, '%Y%m%d%H%i%s'))
    from :"table" where version = :'version'), 'diesel:')

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
    lower(hex(checksum)),
    date_format(convert_tz(installed_on, @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%sZ'),
    case when execution_time < 0 then null else execution_time div 1000000 end,
    date_format(installed_on, '%Y%m%d%H%i%s')
from :"table" order by version

-- name: ledger_sqlx_origin
coalesce((select concat('sqlx:', date_format(installed_on, '%Y%m%d%H%i%s'))
    from :"table" where version = :number), 'sqlx:')

-- name: ledger_sqlx_applied
insert into :"table" (version, description, success, checksum, execution_time)
values (:number, :'description', true, unhex(:'tool_checksum'), :elapsed * 1000000)
on duplicate key update description = values(description), installed_on = current_timestamp,
    success = true, checksum = values(checksum), execution_time = values(execution_time)

-- name: ledger_sqlx_begun
insert into :"table" (version, description, success, checksum, execution_time)
values (:number, :'description', false, unhex(:'tool_checksum'), -1)
on duplicate key update success = false, checksum = values(checksum), execution_time = -1

-- name: ledger_sqlx_reverted
delete from :"table" where version = :number

-- name: ledger_sqlx_accept
update :"table" set checksum = unhex(:'tool_checksum') where version = :number

-- name: ledger_sqlx_forget
delete from :"table" where version = :number and not success

-- Prisma 7 and older: the shape and what its runner writes are those of prisma-engines
-- (schema-engine/connectors/sql-schema-connector/src: flavour/mysql.rs, sql_migration_persistence.rs).
-- A row without finished_at failed, or is under way; with rolled_back_at it does not count.
-- Its times are in UTC, whatever the session's zone is.
-- name: ledger_prisma_create
create table if not exists :"table" (
    id varchar(36) primary key not null,
    checksum varchar(64) not null,
    finished_at datetime(3),
    migration_name varchar(255) not null,
    logs text,
    rolled_back_at datetime(3),
    started_at datetime(3) not null default current_timestamp(3),
    applied_steps_count integer unsigned not null default 0
) default character set utf8mb4 collate utf8mb4_unicode_ci

-- name: ledger_prisma_read
select migration_name, null, null, case when finished_at is null then 'failed' else 'applied' end,
    checksum, date_format(finished_at, '%Y-%m-%dT%H:%i:%sZ'),
    timestampdiff(microsecond, started_at, finished_at) div 1000, id
from :"table" where rolled_back_at is null
order by finished_at is null, started_at, id

-- name: ledger_prisma_origin
concat('prisma:', coalesce((select id from :"table"
    where migration_name = :'version' and rolled_back_at is null
    order by finished_at is null desc, started_at desc, id desc limit 1), ''))

-- name: ledger_prisma_applied
update :"table" set finished_at = utc_timestamp(3), applied_steps_count = 1,
    checksum = :'tool_checksum'
where migration_name = :'version' and finished_at is null and rolled_back_at is null;
insert into :"table" (id, checksum, finished_at, migration_name, started_at, applied_steps_count)
select uuid(), :'tool_checksum', utc_timestamp(3), :'version', utc_timestamp(3), 1 from dual
where not exists (select 1 from :"table"
    where migration_name = :'version' and rolled_back_at is null)

-- name: ledger_prisma_begun
insert into :"table" (id, checksum, migration_name, started_at)
select uuid(), :'tool_checksum', :'version', utc_timestamp(3) from dual
where not exists (select 1 from :"table"
    where migration_name = :'version' and finished_at is null and rolled_back_at is null)

-- name: ledger_prisma_accept
update :"table" set checksum = :'tool_checksum'
where migration_name = :'version' and rolled_back_at is null

-- name: ledger_prisma_forget
update :"table" set rolled_back_at = utc_timestamp(3)
where migration_name = :'version' and finished_at is null and rolled_back_at is null

-- Drizzle 0: drizzle-orm's src/mysql-core/dialect.ts, `migrate`.
-- name: ledger_drizzle_create
create table if not exists :"table" (id serial primary key, hash text not null, created_at bigint)

-- name: ledger_drizzle_read
select created_at, null, null, 'applied', hash, null, null, id
from :"table" where created_at is not null order by id

-- name: ledger_drizzle_origin
concat('drizzle:', coalesce((select max(id) from :"table" where created_at = :number), ''))

-- name: ledger_drizzle_applied
insert into :"table" (hash, created_at) values (:'tool_checksum', :number)

-- name: ledger_drizzle_accept
update :"table" set hash = :'tool_checksum' where created_at = :number
