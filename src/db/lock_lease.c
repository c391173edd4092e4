/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Election by a row with a heartbeat, for connections that keep no session (poolers) and servers
 * whose session locks are not shared. Single statements only: each may land on another backend.
 * Times are the server's. `run_id` empty: nobody leads. `fence` counts the leaders.
 */

#include <string.h>

#include "db/lock_modes.h"
#include "core/banned.h"

#define LEASE(lock) ARG_IDENT("lease", (lock)->spec.schema, STR("lockstep_lease"))

/* CREATE TABLE IF NOT EXISTS still races in PostgreSQL: the loser sees a duplicate. */
static bool
make_table(Lock *lock, Error *err)
{
    if (!db_do(lock->db, Q_LOCK_LEASE_CREATE, DB_ARGS(LEASE(lock)), err)) {
        if (err->cls != ERROR_CLASS_DUPLICATE)
            return error_wrap(err, "making lockstep_lease");
        error_clear(err);
    }
    return db_do(lock->db, Q_LOCK_LEASE_ADD, DB_ARGS(LEASE(lock)), err);
}

static bool
take_from(Lock *lock, const char *run_id, bool *ret_got, Error *err)
{
    if (!db_do(lock->db, Q_LOCK_LEASE_TAKE,
               DB_ARGS(LEASE(lock), ARG_TEXT("run_id", str_of(lock->spec.run_id)),
                       ARG_TEXT("host", str_of(lock->spec.host)), ARG_TEXT("from", str_of(run_id))),
               err))
        return false;
    *ret_got = db_changes(lock->db) == 1;
    return true;
}

static bool
lease_look(Lock *lock, Arena *arena, LockView *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    int64_t silent = 0;
    *ret = (LockView){.silent_ms = -1};
    if (!db_ask(lock->db, scratch, Q_LOCK_LEASE_LOOK, DB_ARGS(LEASE(lock)), &r, err)) {
        if (err->cls != ERROR_CLASS_NO_TABLE)
            return false;
        error_clear(err);
        return true;
    }
    if (!r.rows || !DB_CELL(&r, 0, 0).n)
        return true;
    if (!str_to_i64(DB_CELL(&r, 0, 2), &silent))
        silent = 0;
    *ret = (LockView){
        .held = true,
        .ours = str_eq(DB_CELL(&r, 0, 0), str_of(lock->spec.run_id)),
        .lost = silent > lock->spec.lease_ms,
        .run_id = str_dup(arena, DB_CELL(&r, 0, 0)),
        .silent_ms = silent,
        .who = str_printf(arena, "run " STR_FMT " on " STR_FMT, STR_ARG(DB_CELL(&r, 0, 0)),
                          STR_ARG(DB_CELL(&r, 0, 1))),
    };
    return true;
}

static bool
lease_try(Lock *lock, bool *ret_got, Error *err)
{
    *ret_got = false;
    if (!take_from(lock, "", ret_got, err)) {
        if (err->cls != ERROR_CLASS_NO_TABLE)
            return false;
        error_clear(err);
    }
    if (*ret_got)
        return true;
    SCRATCH_ARENA(scratch);
    LockView view;
    if (!lease_look(lock, scratch, &view, err))
        return false;
    if (view.held)
        return true;
    return make_table(lock, err) && take_from(lock, "", ret_got, err);
}

static bool
lease_beat(Lock *lock, const char *progress, Error *err)
{
    (void)progress;
    if (!db_do(lock->db, Q_LOCK_LEASE_BEAT,
               DB_ARGS(LEASE(lock), ARG_TEXT("run_id", str_of(lock->spec.run_id))), err))
        return false;
    return db_changes(lock->db) == 1 ||
           error_set(err, ERROR_LOCKED, "the lease was taken over by another process");
}

static void
lease_release(Lock *lock, const char *outcome, const char *error)
{
    Error ignored = ERROR_INIT;
    (void)outcome;
    (void)error;
    if (db_alive(lock->db) &&
        !db_do(lock->db, Q_LOCK_LEASE_FREE,
               DB_ARGS(LEASE(lock), ARG_TEXT("run_id", str_of(lock->spec.run_id))), &ignored))
        error_clear(&ignored);
}

/* The row goes from exactly that holder to nobody; whoever is first leads. */
bool
lock_lease_evict(Lock *lock, const LockView *view, Error *err)
{
    return !view->run_id || db_do(lock->db, Q_LOCK_LEASE_EVICT,
                                  DB_ARGS(LEASE(lock), ARG_TEXT("run_id", str_of(view->run_id)),
                                          ARG_INT("lease_ms", lock->spec.lease_ms)),
                                  err);
}

const LockOps lock_lease_ops = {
    .attempt = lease_try, .look = lease_look, .beat = lease_beat, .release = lease_release};
