/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who may migrate: one leader at a time, by four means behind one shape.
 *
 *   session  a lock of the control connection: PostgreSQL pg_try_advisory_lock(LOCK_KEY), MySQL
 *            GET_LOCK(name, 0). The server frees it when the session ends.
 *   lease    a row in lockstep_lease with owner, heartbeat (server time) and a fencing number.
 *   file     SQLite: an flock on "<database>.lockstep" that also holds who, heartbeat, progress.
 *   none     everybody leads.
 *
 * Nobody ever waits inside the database for it: lock_try answers at once, followers poll.
 */

#include "db/db.h"

/* The eight ASCII bytes "lockstep", big-endian. */
#define LOCK_KEY INT64_C(0x6c6f636b73746570)

typedef enum LockMode { LOCK_AUTO, LOCK_SESSION, LOCK_LEASE, LOCK_FILE, LOCK_NONE } LockMode;

typedef struct LockSpec {
    LockMode mode;      /* not AUTO: lock_choose first */
    Str schema;         /* where lockstep_lease stands; part of the MySQL name */
    const char *run_id; /* ours */
    int64_t lease_ms;
    const char *host; /* for people: who leads */
} LockSpec;

typedef struct LockView {
    bool held;
    bool ours;
    bool lost;             /* silent for longer than the lease */
    char *run_id;          /* of the holder, NULL when it cannot be told */
    int64_t session_id;    /* of the holder's control session, 0 = none */
    int64_t silent_ms;     /* since its last sign of life, -1 unknown */
    char *who;             /* for people: "host web-1, pid 7, run 01J..." or what is known */
    char *progress;        /* file mode: "3/12 20240101_x"; else NULL */
    char *outcome, *error; /* file mode: how the last holder ended; else NULL */
} LockView;

typedef struct Lock Lock;

/* What `auto` means here: file for SQLite; lease behind a pooler, on CockroachDB and Galera; else
 * session. `ret_why` is for the log. */
LockMode lock_choose(const Db *db, const DbFacts *facts, const char **ret_why);
const char *lock_mode_name(LockMode mode);

Lock *lock_new(Arena *arena, Db *control, const LockSpec *spec);
/* Lease mode: makes the table when it is missing (a race of several makers is fine). */
bool lock_try(Lock *lock, bool *ret_got, Error *err) MUST_CHECK;
bool lock_look(Lock *lock, Arena *arena, LockView *ret, Error *err) MUST_CHECK;
/* Whether nobody leads, as cheaply as the engine can tell: what followers poll with. */
bool lock_is_free(Lock *lock, bool *ret_free, Error *err) MUST_CHECK;
/* From now on the engine tells when somebody gives it free (PostgreSQL's session lock; no effect
 * elsewhere). */
bool lock_listen(Lock *lock, Error *err) MUST_CHECK;
bool lock_listens(const Lock *lock);
/* Sleeps between two polls: for `ms`, or where the engine tells until somebody says that it has
 * come free (`told`). Where nobody listened yet the first call does no more than begin to. */
bool lock_pause(Lock *lock, int64_t ms, bool *ret_told, Error *err) MUST_CHECK;
/* Sign of life, and proof that we still hold it: fails with ERROR_LOCKED when it was lost. */
bool lock_beat(Lock *lock, const char *progress, Error *err) MUST_CHECK;
/* End the sessions of a lost holder and wait until they are gone (session, lease), by
 * application_name "lockstep:<run id>" or recorded connection. In file mode nothing can be ended:
 * ok and no effect. After it lock_try may succeed. */
bool lock_evict(Lock *lock, const LockView *view, int64_t timeout_ms, Error *err) MUST_CHECK;
/* MySQL has no application_name to find a session by: the apply connection of the leader holds a
 * second, named lock, so that a successor can end it. No effect on other engines. */
bool lock_mark_session(Lock *lock, Db *apply, Error *err) MUST_CHECK;
/* Sessions of earlier runs (any run id but ours) that still live although nobody leads: a killed
 * client's statement goes on in the server. Called by a new leader before its first statement. */
bool lock_end_leftovers(Lock *lock, int64_t timeout_ms, int64_t *ret_ended, Error *err) MUST_CHECK;
/* Those sessions of lost runs' tools that were written down, "17@10.0.0.5:40112,...". */
bool lock_end_sessions(Lock *lock, Str sessions, int64_t timeout_ms, int64_t *ret_ended, Error *err)
    MUST_CHECK;
/* File mode: leaves outcome and error beside the lock for followers. */
void lock_release(Lock *lock, const char *outcome, const char *error);

/* Another tool's own lock on the control connection, tried without waiting (contract 6). `key` for
 * PostgreSQL, `name` for MySQL. */
typedef struct ForeignLock {
    int64_t key;
    const char *name;
    const char *tool;
} ForeignLock;
bool lock_try_foreign(Db *control, const ForeignLock *lock, bool *ret_got, Error *err) MUST_CHECK;
void lock_release_foreign(Db *control, const ForeignLock *lock);
