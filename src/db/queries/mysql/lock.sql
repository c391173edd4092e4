-- SPDX-License-Identifier: Apache-2.0
-- The session lock of MySQL and MariaDB: GET_LOCK. A name is at most 64 characters long (MySQL), and
-- one name space for the whole server: the database is part of it. GET_LOCK is re-entrant within a
-- session; the server frees it when the session ends. A second name marks the connection that
-- applies, for there is no application_name to find it by.

-- name: lock_session_try
select coalesce(get_lock(:'name', 0), 0)

-- Whose it is: session, ours, silence in ms (a session that runs a statement is not silent), words
-- for people. No row: nobody's. Without the PROCESS privilege other users' sessions are hidden.
-- name: lock_session_look
select holder.id, holder.id = connection_id(),
       case when p.id is null then -1 when p.command = 'Sleep' then p.time * 1000 else 0 end,
       concat('connection ', holder.id, coalesce(concat(' of ', p.user, '@', p.host), ''))
from (select is_used_lock(:'name') as id) holder
left join information_schema.processlist p on p.id = holder.id
where holder.id is not null

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
