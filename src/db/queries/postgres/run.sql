-- SPDX-License-Identifier: Apache-2.0
-- Run records and the transaction around a migration.

-- name: run_create
create table if not exists :"runs" (
    run_id text primary key,
    tool text not null,
    fingerprint text,
    outcome text not null,
    started_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    finished_at timestamptz,
    host text,
    pid bigint,
    environment text,
    revision text,
    applied int not null default 0,
    from_version text,
    to_version text,
    duration_ms bigint,
    error text
)

-- name: run_start
insert into :"runs" (run_id, tool, fingerprint, outcome, host, pid, environment, revision,
                     from_version)
values (:'run_id', :'tool', :'files', 'running', :'host', :pid, :'environment', :'revision',
        :'from_version')

-- name: run_beat
update :"runs" set heartbeat_at = now() where run_id = :'run_id' and outcome = 'running'

-- The row is locked until the migration commits: whoever declares this run lost waits for that
-- commit, and a run that was declared lost changes no row here and fails in its version row.
-- While a run is under way, `error` names the sessions of its tool that have no other mark: what a
-- successor must end. run_end and run_lost write over it.
-- name: run_sessions
update :"runs" set error = :'sessions' where run_id = :'run_id' and outcome = 'running'

-- name: run_sessions_left
select error from :"runs"
where outcome = 'running' and run_id <> :'run_id' and error is not null

-- name: run_step
update :"runs" set heartbeat_at = now(), applied = :applied
where run_id = :'run_id' and outcome = 'running'

-- name: run_fence
exists (select 1 from :"runs" where run_id = :'run_id' and outcome = 'running')

-- name: run_end
update :"runs"
set outcome = :'outcome', finished_at = now(), heartbeat_at = now(), applied = :applied,
    to_version = :'to_version', duration_ms = :duration_ms, error = :'error',
    fingerprint = :fingerprint
where run_id = :'run_id' and outcome = 'running'

-- name: run_lost
update :"runs"
set outcome = 'lost', finished_at = now(), error = 'the process was lost; run ' || :'run_id' || ' took over'
where outcome = 'running' and run_id <> :'run_id'

-- name: run_fingerprint
concat(:'files', ':', :schema, ':', (:digest))

-- name: run_default_schema
current_schema()

-- name: run_gate
select 1 from :"runs" where outcome = 'succeeded' and fingerprint = :fingerprint limit 1

-- name: run_remember
update :"runs" set fingerprint = :fingerprint
where run_id = (select run_id from :"runs" where outcome = 'succeeded'
                order by started_at desc limit 1)

-- name: run_may_record
update :"runs" set outcome = outcome where 1 = 0

-- `recent`: it ended after the asking process had started.
-- name: run_latest
select run_id, outcome, coalesce(host, ''), coalesce(pid, 0), applied,
       (extract(epoch from now() - heartbeat_at) * 1000)::bigint,
       coalesce(error, ''), coalesce(fingerprint, ''),
       (coalesce(finished_at, now()) > now() - :elapsed_ms * interval '1 millisecond')::int
from :"runs" order by started_at desc limit 1

-- The same run in fewer words: what a follower asks while the leader needs the server.
-- name: run_head
select run_id, outcome, coalesce(fingerprint, '') from :"runs" order by started_at desc limit 1

-- What became of it later, for people; the end of a run would write over it.
-- name: run_note
update :"runs" set error = concat_ws('; ', nullif(error, ''), :'note')
where run_id = :'run_id' and outcome <> 'running'

-- name: run_history
select run_id, tool, fingerprint, outcome,
       to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       to_char(heartbeat_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       host, pid, environment, revision, applied, from_version, to_version, duration_ms,
       case when outcome <> 'running' then error end
from :"runs" order by started_at desc, run_id desc limit :limit

-- name: apply_begin
begin;
set local lock_timeout = :lock_timeout;
set local statement_timeout = :statement_timeout;
set local synchronous_commit = off

-- name: apply_quiet
set local lock_timeout = 0

-- name: apply_loud
set local lock_timeout = :lock_timeout

-- A migration may have changed the role and the time-outs; the record is written with the role that
-- connected, and takes the time that it takes.
-- name: apply_restore
set local statement_timeout = 0;
set local lock_timeout = :lock_timeout;
reset session authorization

-- name: apply_commit
commit

-- name: apply_rollback
rollback

-- name: doubt_index
select case when i.indisvalid then 'valid' else 'invalid' end
from pg_catalog.pg_index i where i.indexrelid = pg_catalog.to_regclass(:'quoted')

-- name: drop_invalid_index
drop index concurrently if exists :"index"
