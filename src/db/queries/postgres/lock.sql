-- SPDX-License-Identifier: Apache-2.0
-- The session lock: an advisory lock of the leader's control connection, tried without waiting. A
-- leader's connections carry application_name "lockstep:<run id>", so that a successor finds them.

-- With it the session gets its name, and a client that is gone without a word is noticed.
-- name: lock_session_try
select case when got then (set_config('application_name', :'application', false)
                           || set_config('tcp_keepalives_idle', '5', false)
                           || set_config('tcp_keepalives_interval', '2', false)
                           || set_config('tcp_keepalives_count', '3', false)) is not null
            else false end::int
from (select pg_try_advisory_lock(:key) as got) t

-- Whose it is: session, ours, silence in ms (-1: hidden from this role), words for people, run id.
-- The key's halves stand in classid and objid. Followers that poll hold it shared for a moment: that
-- is nobody's.
-- name: lock_session_look
select l.pid, (l.pid = pg_backend_pid())::int,
       case when a.state_change is null then -1
            else (extract(epoch from clock_timestamp() - a.state_change) * 1000)::bigint end,
       concat_ws(', ', 'pid ' || l.pid, a.usename, host(a.client_addr), nullif(a.application_name, '')),
       substring(a.application_name from '^lockstep:(.*)$')
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.mode = 'ExclusiveLock'
  and l.database = (select oid from pg_database where datname = current_database())
  and l.classid = (:key >> 32)::bigint::oid and l.objid = (:key & 4294967295)::bigint::oid

-- Cheap, for followers that poll: a shared lock that is gone again at the end of the statement; and
-- which session answered.
-- name: lock_session_free_now
select case when pg_try_advisory_lock_shared(:key) then pg_advisory_unlock_shared(:key)::int
            else 0 end, pg_backend_pid()

-- name: lock_session_beat
select exists (select 1 from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1 and pid = pg_backend_pid()
      and classid = (:key >> 32)::bigint::oid and objid = (:key & 4294967295)::bigint::oid)::int

-- Followers that listen hold nothing: neither a snapshot nor a place in a queue.
-- name: lock_session_listen
listen lockstep

-- name: lock_session_free
select pg_advisory_unlock(:key), set_config('application_name', 'lockstep', false),
       pg_notify('lockstep', '')

-- Sessions of leaders in this database: of one run (:'run_id'), or of any but ours.
-- name: lock_sessions_of
select pid from pg_stat_activity
where datname = current_database() and application_name = 'lockstep:' || :'run_id'
  and pid <> pg_backend_pid()

-- name: lock_sessions_left
select pid from pg_stat_activity
where datname = current_database() and application_name like 'lockstep:%'
  and application_name <> 'lockstep:' || :'run_id' and pid <> pg_backend_pid()

-- name: lock_session_lives
select count(*) from pg_stat_activity where pid = :session

-- name: lock_lease_create
create table if not exists :"lease" (
    name text primary key,
    run_id text not null,
    host text,
    fence bigint not null,
    heartbeat_at timestamptz not null
)

-- name: lock_lease_exists
select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = :'schema' and c.relname = 'lockstep_lease' and c.relkind in ('r', 'p')

-- name: lock_lease_add
insert into :"lease" (name, run_id, host, fence, heartbeat_at)
values ('lockstep', '', null, 0, now()) on conflict (name) do nothing

-- name: lock_lease_take
update :"lease" set run_id = :'run_id', host = :'host', fence = fence + 1, heartbeat_at = now()
where name = 'lockstep' and run_id = :'from'

-- name: lock_lease_look
select run_id, coalesce(host, ''), (extract(epoch from now() - heartbeat_at) * 1000)::bigint, fence
from :"lease" where name = 'lockstep'

-- name: lock_lease_beat
update :"lease" set heartbeat_at = now() where name = 'lockstep' and run_id = :'run_id'

-- name: lock_lease_free
update :"lease" set run_id = '' where name = 'lockstep' and run_id = :'run_id'

-- From a holder that is lost still; one that gave a sign of life meanwhile keeps it.
-- name: lock_lease_evict
update :"lease" set run_id = ''
where name = 'lockstep' and run_id = :'run_id'
  and heartbeat_at < now() - :lease_ms * interval '1 millisecond'

-- name: lock_foreign_try
select pg_try_advisory_lock(:key)::int

-- name: lock_foreign_free
select pg_advisory_unlock(:key)

-- A tool's sessions, the one at work first: those that PGAPPNAME marked, and for clients that do not
-- read it those that come from a port of the tool, as long as the server sees our own connection
-- come from a port of ours (nobody translates in between). The key is for those without the mark.
-- name: lock_tool_sessions
select t.pid, case when t.application_name = 'lockstep:' || :'run_id' then null
                   else concat(t.pid, '@', t.client_addr, ':', t.client_port) end
from pg_stat_activity t left join pg_stat_activity us on us.pid = pg_backend_pid()
where t.datname = current_database() and t.pid <> pg_backend_pid()
  and (t.application_name = 'lockstep:' || :'run_id'
       or concat(t.pid, '@', t.client_addr, ':', t.client_port)
          = any (string_to_array(:'known', ','))
       or (t.client_addr = us.client_addr and t.backend_start > us.backend_start
           and t.client_port::text = any (string_to_array(:'ports', ','))
           and us.client_port::text = any (string_to_array(:'own', ','))))
order by (t.state = 'active') desc, t.state_change, t.pid

-- Those of an earlier run that it wrote down.
-- name: lock_tool_left
select pid from pg_stat_activity
where concat(pid, '@', client_addr, ':', client_port) = any (string_to_array(:'known', ','))
