/* SPDX-License-Identifier: Apache-2.0 */
/* Election by a lock of the control connection. Its queries are its signs of life: the server knows
 * when the session last did something. */

#include "db/lock_modes.h"
#include "core/banned.h"

/* Between two polls of a session that is told anyway: for a leader that was killed. */
enum { TOLD_PAUSE_MS = 1000 };

#define SESSION_ARGS(lock)                                                                         \
    DB_ARGS(                                                                                       \
        ARG_INT("key", LOCK_KEY), ARG_TEXT("name", str_of((lock)->name)),                          \
        ARG_TEXT("application", str_of(str_printf(scratch, "lockstep:%s", (lock)->spec.run_id))))

static int64_t
number(Str s)
{
    int64_t n = 0;
    return str_to_i64(s, &n) ? n : 0;
}

static bool
ask_yes(Lock *lock, DbQuery query, bool *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    if (!db_ask(lock->db, scratch, query, SESSION_ARGS(lock), &r, err))
        return false;
    *ret = r.rows && str_eq(DB_CELL(&r, 0, 0), STR("1"));
    return true;
}

static bool
session_try(Lock *lock, bool *ret_got, Error *err)
{
    return ask_yes(lock, Q_LOCK_SESSION_TRY, ret_got, err);
}

static bool
session_is_free(Lock *lock, bool *ret_free, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    if (!db_ask(lock->db, scratch, Q_LOCK_SESSION_FREE_NOW, SESSION_ARGS(lock), &r, err))
        return false;
    *ret_free = r.rows && str_eq(DB_CELL(&r, 0, 0), STR("1"));
    lock->pooled = r.rows && r.cols > 1 && db_is_pooled(lock->db, number(DB_CELL(&r, 0, 1)));
    return true;
}

/* What a pooler's connection is told is nobody's. */
static bool
can_listen(const Lock *lock)
{
    return db_has_query(lock->db, Q_LOCK_SESSION_LISTEN) && !lock->pooled &&
           lock->spec.mode == LOCK_SESSION;
}

static bool
session_listen(Lock *lock, Error *err)
{
    if (lock->listens || !can_listen(lock))
        return true;
    lock->listens = true;
    return db_do(lock->db, Q_LOCK_SESSION_LISTEN, NULL, err);
}

/* The first call returns at once: what ended before this session listened is found by a poll. */
static bool
session_pause(Lock *lock, int64_t ms, bool *ret_told, Error *err)
{
    if (lock->listens)
        return db_pause(lock->db, TOLD_PAUSE_MS, ret_told, err);
    return can_listen(lock) ? session_listen(lock, err) : wait_sleep(lock->wait, ms, err);
}

static bool
session_look(Lock *lock, Arena *arena, LockView *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    if (!db_ask(lock->db, scratch, Q_LOCK_SESSION_LOOK, SESSION_ARGS(lock), &r, err))
        return false;
    if (!r.rows) {
        *ret = (LockView){.silent_ms = -1};
        return true;
    }
    int64_t silent = number(DB_CELL(&r, 0, 2));
    *ret = (LockView){
        .held = true,
        .ours = str_eq(DB_CELL(&r, 0, 1), STR("1")),
        .lost = silent > lock->spec.lease_ms,
        .run_id = r.cols > 4 ? str_dup(arena, DB_CELL(&r, 0, 4)) : NULL,
        .session_id = number(DB_CELL(&r, 0, 0)),
        .silent_ms = silent,
        .who = str_dup(arena, DB_CELL(&r, 0, 3)),
    };
    return true;
}

static bool
session_beat(Lock *lock, const char *progress, Error *err)
{
    bool held;
    (void)progress;
    if (!ask_yes(lock, Q_LOCK_SESSION_BEAT, &held, err))
        return false;
    return held ||
           error_set(err, ERROR_LOCKED, "the lock was lost: another process may be migrating");
}

static void
session_release(Lock *lock, const char *outcome, const char *error)
{
    SCRATCH_ARENA(scratch);
    Error ignored = ERROR_INIT;
    (void)outcome;
    (void)error;
    if (db_alive(lock->db) && !db_do(lock->db, Q_LOCK_SESSION_FREE, SESSION_ARGS(lock), &ignored))
        error_clear(&ignored);
}

const LockOps lock_session_ops = {.attempt = session_try,
                                  .is_free = session_is_free,
                                  .listen = session_listen,
                                  .pause = session_pause,
                                  .look = session_look,
                                  .beat = session_beat,
                                  .release = session_release};
