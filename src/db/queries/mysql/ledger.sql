-- SPDX-License-Identifier: Apache-2.0
-- lockstep_migrations, and looking for version tables. Times are UTC, whatever the session's zone.

-- name: ledger_open
select 'version', group_concat(column_name order by ordinal_position)
from information_schema.columns
where table_schema = :'table_schema' and table_name = :'table_name' having count(*) > 0
union all
select 'own', group_concat(column_name order by ordinal_position)
from information_schema.columns
where table_schema = :'own_schema' and table_name = :'own_name' having count(*) > 0
union all
select 'runs', group_concat(column_name order by ordinal_position)
from information_schema.columns
where table_schema = :'schema' and table_name = 'lockstep_runs' having count(*) > 0
union all
select 'rails', group_concat(column_name order by ordinal_position)
from information_schema.columns
where table_schema = :'table_schema' and table_name = 'ar_internal_metadata' having count(*) > 0

-- name: ledger_probe
select 'sqlx', group_concat(column_name order by ordinal_position)
from information_schema.columns
where table_schema = :'schema' and table_name = '_sqlx_migrations' having count(*) > 0

-- name: ledger_digest
select :expression from :"table"

-- 190 characters of utf8mb4 fit into the 767 bytes of an old index.
-- name: ledger_own_create
create table if not exists :"own" (
    version varchar(190) character set utf8mb4 collate utf8mb4_bin not null primary key,
    name text character set utf8mb4 not null,
    checksum varchar(128),
    state varchar(16) not null,
    statements_done int not null default 0,
    applied_at datetime(6),
    duration_ms bigint,
    run_id varchar(64),
    origin varchar(190) character set utf8mb4 collate utf8mb4_bin,
    doubt longtext character set utf8mb4
) engine = InnoDB

-- name: ledger_own_read
select version, name, checksum, state, statements_done,
    date_format(applied_at, '%Y-%m-%dT%H:%i:%sZ'), duration_ms, run_id, origin, doubt
from :"own" order by version

-- One row of VALUES: NULL for NOT NULL is an error then in every sql_mode.
-- name: ledger_own_put
insert into :"own" (version, name, checksum, state, statements_done, applied_at, duration_ms,
    run_id, origin, doubt)
values (case when :fence then :'version' end, :'name', :'checksum', :'state', :done,
    case when :'state' = 'applied' and :stamp then utc_timestamp(6) end, :duration,
    :'run_id', :origin, :'doubt')
on duplicate key update name = values(name), checksum = values(checksum), state = values(state),
    statements_done = values(statements_done), applied_at = values(applied_at),
    duration_ms = values(duration_ms), run_id = values(run_id), origin = values(origin),
    doubt = values(doubt)

-- name: ledger_own_failed
insert into :"own" (version, name, checksum, state, statements_done, run_id, origin)
values (:'version', :'name', :'checksum', 'failed', 0, :'run_id', :origin)
on duplicate key update state = 'failed', run_id = values(run_id), origin = values(origin)

-- name: ledger_own_delete
delete from :"own" where version = :'version'

-- name: ledger_own_accept
update :"own" set checksum = :'checksum', name = :'name', origin = :origin
where version = :'version'
