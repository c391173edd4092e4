-- SPDX-License-Identifier: Apache-2.0
-- lockstep_migrations, and looking for version tables. :table is the version table, :own is ours.

-- name: ledger_open
select r.role,
    (select pg_catalog.string_agg(a.attname::text, ',' order by a.attnum)
     from pg_catalog.pg_attribute a
     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
from (values ('version', :'table_schema', :'table_name'), ('own', :'own_schema', :'own_name'),
    ('runs', :'schema', 'lockstep_runs'), ('rails', :'table_schema', 'ar_internal_metadata'))
    as r (role, schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = r.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = r.table_name
where c.relkind in ('r', 'p', 'v', 'f')

-- name: ledger_probe
select r.role,
    (select pg_catalog.string_agg(a.attname::text, ',' order by a.attnum)
     from pg_catalog.pg_attribute a
     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
from (values ('tern', 'public', 'schema_version'), ('sqlx', :'schema', '_sqlx_migrations'))
    as r (role, schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = r.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = r.table_name
where c.relkind in ('r', 'p')

-- name: ledger_digest
select :expression from :"table"

-- name: ledger_own_create
create table if not exists :"own" (
    version text not null primary key,
    name text not null,
    checksum text,
    state text not null,
    statements_done int not null default 0,
    applied_at timestamptz,
    duration_ms bigint,
    run_id text,
    origin text,
    doubt text
)

-- name: ledger_own_read
select version, name, checksum, state, statements_done,
    pg_catalog.to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    duration_ms, run_id, origin, doubt
from :"own"
order by version collate "C"

-- The version is NULL, and the transaction fails, unless :fence holds.
-- name: ledger_own_put
insert into :"own" as o (version, name, checksum, state, statements_done, applied_at, duration_ms,
    run_id, origin, doubt)
values (case when :fence then :'version' end, :'name', :'checksum', :'state', :done,
    case when :'state' = 'applied' and :stamp then pg_catalog.clock_timestamp() end, :duration,
    :'run_id', :origin, :'doubt')
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

-- name: ledger_since_begin
(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000)::bigint
