-- SPDX-License-Identifier: Apache-2.0
-- What the driver asks of MySQL and MariaDB. One statement a section: several in one round trip are
-- switched off on every connection.

-- `variables` is information_schema.session_variables on MariaDB, performance_schema's on MySQL: a
-- direct @@name fails where a server does not know it.
-- name: mysql_facts
select version(), database(), current_user(), connection_id(), @@sql_mode,
       concat(left(date_format(utc_timestamp(3), '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
       @@global.read_only,
       (select group_concat(lower(variable_name), '=', lower(variable_value))
        from :variables
        where variable_name in ('wsrep_on', 'super_read_only', 'innodb_read_only'))

-- For servers that speak the protocol but lack those views.
-- name: mysql_facts_plain
select version(), database(), current_user(), connection_id(), @@sql_mode,
       concat(left(date_format(utc_timestamp(3), '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
       @@global.read_only, ''

-- name: mysql_grants
show grants

-- Once for each session, and again after something that may have changed it.
-- name: mysql_defaults
set names utf8mb4, session sql_mode = default, session foreign_key_checks = :foreign_keys,
    session unique_checks = default, session time_zone = default, session autocommit = 1,
    session sql_safe_updates = default, session sql_select_limit = default,
    session group_concat_max_len = default, session :isolation = default,
    session :read_only = default, session wait_timeout = 28800

-- name: mysql_foreign_keys
set session foreign_key_checks = 0

-- name: mysql_unlock
unlock tables

-- name: mysql_use
use :database

-- name: mysql_rollback
rollback

-- name: mysql_timeouts
set session lock_wait_timeout = :lock, session innodb_lock_wait_timeout = :lock,
    session :statement

-- name: mysql_create_database
create database :database

-- name: mysql_kill_query
kill query :id

-- name: mysql_kill
kill :id

-- Who holds what a session waits for. They are asked in this order until one answers; each needs a
-- view or a right that not every server gives.

-- MySQL 8; MariaDB from 10.5 with its performance_schema switched on.
-- name: mysql_blockers_metadata
select distinct p.id, p.user, p.db, p.command, p.time, p.info
from performance_schema.metadata_locks w
join performance_schema.threads wt on wt.thread_id = w.owner_thread_id
join performance_schema.metadata_locks g
  on g.object_type = w.object_type and g.object_schema <=> w.object_schema
 and g.object_name <=> w.object_name and g.owner_thread_id <> w.owner_thread_id
join performance_schema.threads gt on gt.thread_id = g.owner_thread_id
join information_schema.processlist p on p.id = gt.processlist_id
where wt.processlist_id = :id and w.lock_status = 'PENDING' and g.lock_status = 'GRANTED'
order by p.time desc limit 10

-- MariaDB with the plug-in METADATA_LOCK_INFO, which shows granted locks only.
-- name: mysql_blockers_plugin
select distinct p.id, p.user, p.db, p.command, p.time, p.info
from information_schema.processlist us
join information_schema.metadata_lock_info g on instr(lower(us.info), lower(g.table_name)) > 0
join information_schema.processlist p on p.id = g.thread_id
where us.id = :id and us.state like 'Waiting for table%' and p.id <> us.id and g.table_name <> ''
order by p.time desc limit 10

-- Row locks: MySQL 8.
-- name: mysql_blockers_data
select distinct p.id, p.user, p.db, p.command, p.time, p.info
from performance_schema.data_lock_waits w
join performance_schema.threads wt on wt.thread_id = w.requesting_thread_id
join performance_schema.threads gt on gt.thread_id = w.blocking_thread_id
join information_schema.processlist p on p.id = gt.processlist_id
where wt.processlist_id = :id
order by p.time desc limit 10

-- Row locks: MariaDB, MySQL 5.7.
-- name: mysql_blockers_rows
select distinct p.id, p.user, p.db, p.command, p.time, p.info
from information_schema.innodb_lock_waits w
join information_schema.innodb_trx wt on wt.trx_id = w.requesting_trx_id
join information_schema.innodb_trx gt on gt.trx_id = w.blocking_trx_id
join information_schema.processlist p on p.id = gt.trx_mysql_thread_id
where wt.trx_mysql_thread_id = :id
order by p.time desc limit 10

-- A table lock that no view explains: the open transactions of others.
-- name: mysql_blockers_open
select distinct p.id, p.user, p.db, p.command, p.time, p.info
from information_schema.processlist us
join information_schema.innodb_trx t on t.trx_mysql_thread_id <> us.id
join information_schema.processlist p on p.id = t.trx_mysql_thread_id
where us.id = :id and us.state like 'Waiting for table%'
  and coalesce(p.state, '') not like 'Waiting for%'
order by p.time desc limit 5

-- Without any right: the other sessions of this user in this database.
-- name: mysql_blockers_guess
select p.id, p.user, p.db, p.command, p.time, p.info
from information_schema.processlist us
join information_schema.processlist p on p.id <> us.id and p.db <=> us.db
where us.id = :id and us.state like 'Waiting for table%' and p.id <> connection_id()
  and coalesce(p.state, '') not like 'Waiting for%' and p.command not in ('Daemon', 'Binlog Dump')
order by p.time desc limit 5

-- How many wait for us, and how long the longest does (ms).

-- The third column: whether the server keeps that view at all (off in MariaDB and MySQL 5.7).
-- name: mysql_victims_metadata
select v.waiting, v.longest,
       (select count(*) from performance_schema.setup_instruments
        where name = 'wait/lock/metadata/sql/mdl' and enabled = 'YES')
from (select count(distinct p.id) as waiting, coalesce(max(p.time), 0) * 1000 as longest
      from performance_schema.metadata_locks w
      join performance_schema.threads wt on wt.thread_id = w.owner_thread_id
      join performance_schema.metadata_locks g
        on g.object_type = w.object_type and g.object_schema <=> w.object_schema
       and g.object_name <=> w.object_name and g.owner_thread_id <> w.owner_thread_id
      join performance_schema.threads gt on gt.thread_id = g.owner_thread_id
      join information_schema.processlist p on p.id = wt.processlist_id
      where gt.processlist_id = :id and w.lock_status = 'PENDING') v

-- name: mysql_victims_data
select count(distinct p.id), coalesce(max(p.time), 0) * 1000
from performance_schema.data_lock_waits w
join performance_schema.threads wt on wt.thread_id = w.requesting_thread_id
join performance_schema.threads gt on gt.thread_id = w.blocking_thread_id
join information_schema.processlist p on p.id = wt.processlist_id
where gt.processlist_id = :id

-- name: mysql_victims_rows
select count(*), coalesce(max(timestampdiff(second, wt.trx_wait_started, now())), 0) * 1000
from information_schema.innodb_lock_waits w
join information_schema.innodb_trx wt on wt.trx_id = w.requesting_trx_id
join information_schema.innodb_trx gt on gt.trx_id = w.blocking_trx_id
where gt.trx_mysql_thread_id = :id

-- Without any right: whoever of this user waits for a table of this database while we work in it.
-- name: mysql_victims_guess
select count(*), coalesce(max(floor(:ms)), 0)
from information_schema.processlist us
join information_schema.processlist p on p.id <> us.id and p.db <=> us.db
where us.id = :id and us.command <> 'Sleep' and p.state like 'Waiting for table%'
