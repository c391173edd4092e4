-- SPDX-License-Identifier: Apache-2.0
-- What the driver itself asks: facts of the server, sessions of others.

-- name: pg_facts
select version(), current_setting('server_version_num'), current_database(), current_user,
       current_schema(), pg_is_in_recovery(),
       current_setting('transaction_read_only') = 'on',
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), pg_backend_pid(),
       to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')

-- name: pg_cancel
select pg_cancel_backend(:session)

-- name: pg_end
select pg_terminate_backend(:session)

-- Columns of other roles' sessions are hidden (NULL) without pg_monitor; the pid never is. Pid 0 is
-- a prepared transaction.
-- name: pg_blockers
select case when b.pid = 0 then 'a prepared transaction (see pg_prepared_xacts)'
       else 'pid ' || b.pid
            || coalesce(' (' || nullif(concat_ws(', ', nullif(a.application_name, ''), a.usename,
                    a.state || coalesce(' since ' || date_trunc('second', now() - a.xact_start), ''),
                    nullif(a.backend_type, 'client backend')), '') || ')', '')
            || coalesce(': ' || left(regexp_replace(nullif(nullif(a.query, ''),
                    '<insufficient privilege>'), '\s+', ' ', 'g'), 80), '')
       end
from (select distinct pid from unnest(pg_blocking_pids(:session)) u (pid)) b
left join pg_stat_activity a on a.pid = b.pid

-- Who waits is read from pg_locks: wait events of other roles are hidden, and the service may well
-- have another role than its migrations. Autovacuum has none; that it waits hurts nobody.
-- name: pg_victims
select coalesce(max(extract(epoch from clock_timestamp() - w.since) * 1000), 0)::bigint, count(*)
from (select a.pid, min(l.waitstart) as since
      from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where not l.granted and a.usesysid is not null and a.application_name not like 'lockstep%'
        and :session = any (pg_blocking_pids(a.pid))
      group by a.pid) w

-- Before PostgreSQL 14 pg_locks does not say since when: the start of the query is the best there is.
-- name: pg_victims_old
select coalesce(max(extract(epoch from clock_timestamp() - a.query_start) * 1000), 0)::bigint,
       count(*)
from pg_stat_activity a
where a.pid in (select pid from pg_locks where not granted) and a.usesysid is not null
  and a.application_name not like 'lockstep%' and :session = any (pg_blocking_pids(a.pid))

-- name: pg_reset
reset session authorization;
reset role;
reset all

-- name: pg_search_path
set search_path = :path

-- Dead clients are noticed within seconds, also while a statement runs (PostgreSQL 14).
-- name: pg_tune
set client_connection_check_interval = '1s';
set tcp_keepalives_idle = 5;
set tcp_keepalives_interval = 2;
set tcp_keepalives_count = 3

-- name: pg_timeouts
set lock_timeout = :lock;
set statement_timeout = :statement

-- name: pg_create_database
create database :"database"
