-- SPDX-License-Identifier: Apache-2.0
-- Run records, and the savepoint around a migration inside a group commit.

-- name: run_create
create table if not exists :"runs" (
    run_id text not null primary key,
    tool text not null,
    fingerprint text,
    outcome text not null,
    started_at text not null,
    heartbeat_at text not null,
    finished_at text,
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
insert into :"runs" (run_id, tool, fingerprint, outcome, started_at, heartbeat_at, host, pid,
                     environment, revision, from_version)
values (:'run_id', :'tool', :'files', 'running', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), :'host', :pid, :'environment', :'revision',
        :'from_version')

-- name: run_beat
update :"runs" set heartbeat_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
where run_id = :'run_id' and outcome = 'running'

-- name: run_end
update :"runs"
set outcome = :'outcome', finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
    heartbeat_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), applied = :applied,
    to_version = :'to_version', duration_ms = :duration_ms, error = :'error',
    fingerprint = :fingerprint
where run_id = :'run_id' and outcome = 'running'

-- name: run_lost
update :"runs"
set outcome = 'lost', finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
    error = 'the process was lost; run ' || :'run_id' || ' took over'
where outcome = 'running' and run_id <> :'run_id'

-- name: run_fingerprint
:'files' || ':' || :schema || ':' || (:digest)

-- name: run_default_schema
'main'

-- name: run_gate
select 1 from :"runs" where outcome = 'succeeded' and fingerprint = :fingerprint limit 1

-- name: run_remember
update :"runs" set fingerprint = :fingerprint
where run_id = (select run_id from :"runs" where outcome = 'succeeded'
                order by started_at desc limit 1)

-- name: run_latest
select run_id, outcome, coalesce(host, ''), coalesce(pid, 0), applied,
       cast((julianday('now') - julianday(heartbeat_at)) * 86400000 as integer),
       coalesce(error, ''), coalesce(fingerprint, ''),
       (julianday('now') - julianday(coalesce(finished_at, 'now'))) * 86400000 < :elapsed_ms
from :"runs" order by started_at desc limit 1

-- The same run in fewer words: what a follower asks while the leader needs the server.
-- name: run_head
select run_id, outcome, coalesce(fingerprint, '') from :"runs" order by started_at desc limit 1

-- What became of it later, for people; the end of a run would write over it.
-- name: run_note
update :"runs" set error = coalesce(nullif(error, '') || '; ', '') || :'note'
where run_id = :'run_id' and outcome <> 'running'

-- name: run_history
select run_id, tool, fingerprint, outcome, started_at, heartbeat_at, finished_at, host, pid,
       environment, revision, applied, from_version, to_version, duration_ms, error
from :"runs" order by started_at desc, run_id desc limit :limit

-- name: apply_begin
savepoint lockstep_migration

-- name: apply_commit
release lockstep_migration

-- name: apply_rollback
rollback to lockstep_migration;
release lockstep_migration

-- name: group_begin
begin immediate

-- name: group_commit
commit
