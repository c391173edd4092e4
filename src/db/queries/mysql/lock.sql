-- SPDX-License-Identifier: Apache-2.0
-- The session lock of MySQL and MariaDB: GET_LOCK. A name is at most 64 characters long (MySQL), and
-- one name space for the whole server: the database is part of it. GET_LOCK is re-entrant within a
-- session; the server frees it when the session ends. A second name marks the connection that
-- applies, for there is no application_name to find it by.

-- name: lock_session_try
select coalesce(get_lock(:'name', 0), 0)

-- Whose it is: session, ours, silence in ms (its own questions are short: one that waits for long is
-- as silent as none), words for people. No row: nobody's. Without the PROCESS privilege other users'
-- sessions are hidden.
-- name: lock_session_look
select holder.id, holder.id = connection_id(),
       case when p.id is null then -1 else p.time * 1000 end,
       concat('connection ', holder.id, coalesce(concat(' of ', p.user, '@', p.host), ''))
from (select is_used_lock(:'name') as id) holder
left join information_schema.processlist p on p.id = holder.id
where holder.id is not null

-- name: lock_session_free_now
select is_free_lock(:'name')

-- name: lock_session_beat
select coalesce(is_used_lock(:'name') = connection_id(), 0)

-- name: lock_session_free
do release_lock(:'name')

-- The session that applies for whoever leads; no row when there is none. Asked by a new leader, one
-- that is not its own is a leftover.
-- name: lock_session_marked
select marked.id, marked.id = connection_id()
from (select is_used_lock(:'mark') as id) marked
where marked.id is not null

-- name: lock_session_lives
select count(*) from information_schema.processlist where id = :session

-- name: lock_lease_create
create table if not exists :"lease" (
    name varchar(64) not null primary key,
    run_id varchar(64) not null,
    host text,
    fence bigint not null,
    heartbeat_at datetime(6) not null
)

-- name: lock_lease_exists
select 1 from information_schema.tables
where table_schema = :'schema' and table_name = 'lockstep_lease'

-- name: lock_lease_add
insert ignore into :"lease" (name, run_id, host, fence, heartbeat_at)
values ('lockstep', '', null, 0, utc_timestamp(6))

-- name: lock_lease_take
update :"lease" set run_id = :'run_id', host = :'host', fence = fence + 1,
    heartbeat_at = utc_timestamp(6)
where name = 'lockstep' and run_id = :'from'

-- name: lock_lease_look
select run_id, coalesce(host, ''),
       timestampdiff(microsecond, heartbeat_at, utc_timestamp(6)) div 1000, fence
from :"lease" where name = 'lockstep'

-- name: lock_lease_beat
update :"lease" set heartbeat_at = utc_timestamp(6) where name = 'lockstep' and run_id = :'run_id'

-- name: lock_lease_free
update :"lease" set run_id = '' where name = 'lockstep' and run_id = :'run_id'

-- From a holder that is lost still; one that gave a sign of life meanwhile keeps it.
-- name: lock_lease_evict
update :"lease" set run_id = ''
where name = 'lockstep' and run_id = :'run_id'
  and heartbeat_at < timestampadd(microsecond, -1000 * :lease_ms, utc_timestamp(6))

-- name: lock_foreign_try
select coalesce(get_lock(:'name', 0), 0)

-- name: lock_foreign_free
do release_lock(:'name')

-- A tool's sessions, the one at work first: those that come from a port of the tool, as long as the
-- server sees our own connection come from a port of ours (nobody translates in between). A server
-- that looks names up has one for both. Over a Unix socket there is no port, and nothing is found.
-- name: lock_tool_sessions
select t.id, concat(t.id, '@', t.host)
from information_schema.processlist t
join information_schema.processlist us on us.id = connection_id()
where find_in_set(concat(t.id, '@', t.host), :'known')
   or (t.id > us.id
       and find_in_set(substring_index(t.host, ':', -1), :'ports')
       and find_in_set(substring_index(us.host, ':', -1), :'own')
       and left(t.host, char_length(t.host) - char_length(substring_index(t.host, ':', -1)))
         = left(us.host, char_length(us.host) - char_length(substring_index(us.host, ':', -1))))
order by t.command = 'Sleep', t.time desc, t.id

-- Whether the server sees from which port a connection of ours comes.
-- name: lock_tool_seen
select find_in_set(substring_index(host, ':', -1), :'own')
from information_schema.processlist where id = connection_id()

-- Those of an earlier run that it wrote down.
-- name: lock_tool_left
select id from information_schema.processlist where find_in_set(concat(id, '@', host), :'known')
