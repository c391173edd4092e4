/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a means of election must answer; included by the lock's own files only. */

#include "db/lock.h"
#include "db/lock_internal.h"

typedef struct LockOps {
    bool (*attempt)(Lock *lock, bool *ret_got, Error *err);
    bool (*is_free)(Lock *lock, bool *ret_free, Error *err);           /* may be NULL: look */
    bool (*listen)(Lock *lock, Error *err);                            /* may be NULL */
    bool (*pause)(Lock *lock, int64_t ms, bool *ret_told, Error *err); /* may be NULL: sleep */
    bool (*look)(Lock *lock, Arena *arena, LockView *ret, Error *err);
    bool (*beat)(Lock *lock, const char *progress, Error *err);          /* may be NULL */
    void (*release)(Lock *lock, const char *outcome, const char *error); /* may be NULL */
} LockOps;

struct Lock {
    Arena *arena;
    Db *db;
    Wait *wait;
    LockSpec spec;
    const LockOps *ops;
    bool listens;      /* session: this connection is told when a leader ends */
    bool pooled;       /* session: another session answers than the one we connected to */
    char *name, *mark; /* MySQL: of the lock, of the applying connection */
    FileLock *file;
    /* The other means by which somebody leads: replicas of one service may come through a pooler
     * (lease) and directly (session) at once. NULL = nobody does. */
    const LockOps *other;
};

extern const LockOps lock_session_ops, lock_lease_ops;
bool lock_lease_evict(Lock *lock, const LockView *view, Error *err);
bool lock_end_session(Lock *lock, int64_t session, int64_t deadline_ms, Error *err);
