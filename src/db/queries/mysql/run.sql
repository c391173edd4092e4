-- SPDX-License-Identifier: Apache-2.0
-- Run records, the transaction around data changes, and what a table looks like now.

-- name: run_create
create table if not exists :"runs" (
    run_id varchar(64) not null primary key,
    tool varchar(64) not null,
    fingerprint text,
    outcome varchar(16) not null,
    started_at datetime(6) not null,
    heartbeat_at datetime(6) not null,
    finished_at datetime(6),
    host text,
    pid bigint,
    environment text,
    revision text,
    applied int not null default 0,
    from_version text,
    to_version text,
    duration_ms bigint,
    error text
) character set utf8mb4 collate utf8mb4_bin

-- name: run_start
insert into :"runs" (run_id, tool, fingerprint, outcome, started_at, heartbeat_at, host, pid,
                     environment, revision, from_version)
values (:'run_id', :'tool', :'files', 'running', utc_timestamp(6), utc_timestamp(6), :'host', :pid,
        :'environment', :'revision', :'from_version')

-- name: run_beat
update :"runs" set heartbeat_at = utc_timestamp(6)
where run_id = :'run_id' and outcome = 'running'

-- While a run is under way, `error` names the sessions of its tool that have no other mark: what a
-- successor must end. run_end and run_lost write over it.
-- name: run_sessions
update :"runs" set error = :'sessions' where run_id = :'run_id' and outcome = 'running'

-- name: run_sessions_left
select error from :"runs"
where outcome = 'running' and run_id <> :'run_id' and error is not null

-- name: run_step
update :"runs" set heartbeat_at = utc_timestamp(6), applied = :applied
where run_id = :'run_id' and outcome = 'running'

-- name: run_fence
exists (select 1 from :"runs" as fence where fence.run_id = :'run_id' and fence.outcome = 'running')

-- name: run_end
update :"runs"
set outcome = :'outcome', finished_at = utc_timestamp(6), heartbeat_at = utc_timestamp(6),
    applied = :applied, to_version = :'to_version', duration_ms = :duration_ms, error = :'error',
    fingerprint = :fingerprint
where run_id = :'run_id' and outcome = 'running'

-- name: run_lost
update :"runs"
set outcome = 'lost', finished_at = utc_timestamp(6),
    error = concat('the process was lost; run ', :'run_id', ' took over')
where outcome = 'running' and run_id <> :'run_id'

-- name: run_fingerprint
concat(:'files', ':', coalesce(:schema, ''), ':', (:digest))

-- name: run_default_schema
database()

-- name: run_gate
select 1 from :"runs" where outcome = 'succeeded' and fingerprint = :fingerprint limit 1

-- name: run_remember
update :"runs" set fingerprint = :fingerprint
where outcome = 'succeeded' order by started_at desc limit 1

-- name: run_may_record
update :"runs" set outcome = outcome where 1 = 0

-- name: run_latest
select run_id, outcome, coalesce(host, ''), coalesce(pid, 0), applied,
       timestampdiff(microsecond, heartbeat_at, utc_timestamp(6)) div 1000,
       coalesce(error, ''), coalesce(fingerprint, ''),
       coalesce(finished_at, utc_timestamp(6))
           > timestampadd(microsecond, -1000 * :elapsed_ms, utc_timestamp(6))
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
       concat(left(date_format(started_at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
       concat(left(date_format(heartbeat_at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
       concat(left(date_format(finished_at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
       host, pid, environment, revision, applied, from_version, to_version, duration_ms,
       case when outcome <> 'running' then error end
from :"runs" order by started_at desc, run_id desc limit :limit

-- name: apply_begin
start transaction

-- name: apply_commit
commit

-- name: apply_rollback
rollback

-- name: doubt_table
show create table :"object"

-- name: doubt_view
show create view :"object"

-- name: doubt_routine
select routine_type, md5(routine_definition), last_altered from information_schema.routines
where routine_schema = coalesce(:'schema', database()) and routine_name = :'name'

-- name: doubt_trigger
select md5(action_statement), event_object_table, created from information_schema.triggers
where trigger_schema = coalesce(:'schema', database()) and trigger_name = :'name'

-- name: doubt_database
select default_character_set_name, default_collation_name from information_schema.schemata
where schema_name = :'name'
