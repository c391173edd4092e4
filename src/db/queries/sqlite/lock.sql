-- SPDX-License-Identifier: Apache-2.0
-- The lease on SQLite, for those who ask for it; the lock file is the rule.

-- name: lock_lease_create
create table if not exists :"lease" (
    name text not null primary key,
    run_id text not null,
    host text,
    fence integer not null,
    heartbeat_at real not null
)

-- name: lock_lease_add
insert or ignore into :"lease" (name, run_id, host, fence, heartbeat_at)
values ('lockstep', '', null, 0, julianday('now'))

-- name: lock_lease_take
update :"lease" set run_id = :'run_id', host = :'host', fence = fence + 1,
    heartbeat_at = julianday('now')
where name = 'lockstep' and run_id = :'from'

-- name: lock_lease_look
select run_id, coalesce(host, ''),
       cast((julianday('now') - heartbeat_at) * 86400000 as integer), fence
from :"lease" where name = 'lockstep'

-- name: lock_lease_beat
update :"lease" set heartbeat_at = julianday('now') where name = 'lockstep' and run_id = :'run_id'

-- name: lock_lease_free
update :"lease" set run_id = '' where name = 'lockstep' and run_id = :'run_id'

-- From a holder that is lost still; one that gave a sign of life meanwhile keeps it.
-- name: lock_lease_evict
update :"lease" set run_id = ''
where name = 'lockstep' and run_id = :'run_id'
  and heartbeat_at < julianday('now') - :lease_ms / 86400000.0
