-- SPDX-License-Identifier: Apache-2.0
-- lockstep_migrations, and looking for version tables. Times are text, ISO 8601 in UTC.

-- name: ledger_open
select r.role, (select group_concat(c.name) from pragma_table_info(m.name) c)
from (select 'version' as role, :'table_name' as name union all
      select 'own', :'own_name' union all
      select 'runs', 'lockstep_runs' union all
      select 'rails', 'ar_internal_metadata') r
join sqlite_master m on m.type in ('table', 'view') and m.name = r.name collate nocase

-- name: ledger_probe
select 'sqlx', (select group_concat(c.name) from pragma_table_info(m.name) c)
from sqlite_master m where m.type = 'table' and m.name = '_sqlx_migrations'

-- name: ledger_digest
select :expression from :"table"

-- name: ledger_own_create
create table if not exists :"own" (
    version text not null primary key,
    name text not null,
    checksum text,
    state text not null,
    statements_done integer not null default 0,
    applied_at text,
    duration_ms integer,
    run_id text,
    origin text,
    doubt text
)

-- name: ledger_own_read
select version, name, checksum, state, statements_done, applied_at, duration_ms, run_id, origin,
    doubt
from :"own" order by version

-- name: ledger_own_put
insert into :"own" (version, name, checksum, state, statements_done, applied_at, duration_ms,
    run_id, origin, doubt)
values (case when :fence then :'version' end, :'name', :'checksum', :'state', :done,
    case when :'state' = 'applied' and :stamp then strftime('%Y-%m-%dT%H:%M:%SZ', 'now') end,
    :duration, :'run_id', :origin, :'doubt')
on conflict (version) do update set name = excluded.name, checksum = excluded.checksum,
    state = excluded.state, statements_done = excluded.statements_done,
    applied_at = excluded.applied_at, duration_ms = excluded.duration_ms,
    run_id = excluded.run_id, origin = excluded.origin, doubt = excluded.doubt

-- name: ledger_own_failed
insert into :"own" (version, name, checksum, state, statements_done, run_id, origin)
values (:'version', :'name', :'checksum', 'failed', 0, :'run_id', :origin)
on conflict (version) do update set state = 'failed', run_id = excluded.run_id,
    origin = excluded.origin

-- name: ledger_own_delete
delete from :"own" where version = :'version'

-- name: ledger_own_accept
update :"own" set checksum = :'checksum', name = :'name', origin = :origin
where version = :'version'
