/* SPDX-License-Identifier: Apache-2.0 */
/* One shape over the means of election: each mode is a row of functions. */

#include "db/lock.h"

#include <string.h>

#include "core/clock.h"
#include "core/hash.h"
#include "db/lock_internal.h"
#include "db/lock_modes.h"
#include "core/banned.h"

static bool
none_try(Lock *lock, bool *ret_got, Error *err)
{
    (void)lock;
    (void)err;
    *ret_got = true;
    return true;
}

static bool
none_look(Lock *lock, Arena *arena, LockView *ret, Error *err)
{
    (void)lock;
    (void)arena;
    (void)err;
    *ret = (LockView){.silent_ms = -1};
    return true;
}

static bool
file_try(Lock *lock, bool *ret_got, Error *err)
{
    return file_lock_try(lock->file, ret_got, err);
}

static bool
file_look(Lock *lock, Arena *arena, LockView *ret, Error *err)
{
    return file_lock_look(lock->file, arena, ret, err);
}

static bool
file_beat(Lock *lock, const char *progress, Error *err)
{
    return file_lock_beat(lock->file, progress, err);
}

static void
file_release(Lock *lock, const char *outcome, const char *error)
{
    file_lock_release(lock->file, outcome, error);
}

static const LockOps none_ops = {.attempt = none_try, .look = none_look};
static const LockOps file_ops = {
    .attempt = file_try, .look = file_look, .beat = file_beat, .release = file_release};

const char *
lock_mode_name(LockMode mode)
{
    static const char *const names[] = {[LOCK_AUTO] = "auto",
                                        [LOCK_SESSION] = "session",
                                        [LOCK_LEASE] = "lease",
                                        [LOCK_FILE] = "file",
                                        [LOCK_NONE] = "none"};
    return names[mode];
}

LockMode
lock_choose(const Db *db, const DbFacts *facts, const char **ret_why)
{
    if (!(db_caps(db) & DB_CAP_SERVER)) {
        *ret_why = "a file beside the database";
        return LOCK_FILE;
    }
    if (facts->pooled || !(db_caps(db) & DB_CAP_SESSION_LOCK)) {
        *ret_why = "a pooler stands between: session locks do not hold through it";
        return LOCK_LEASE;
    }
    if (facts->flavor &&
        (strcmp(facts->flavor, "cockroachdb") == 0 || strcmp(facts->flavor, "galera") == 0)) {
        *ret_why = "this server's session locks are not shared by all its nodes";
        return LOCK_LEASE;
    }
    *ret_why = "the server frees it when the session ends";
    return LOCK_SESSION;
}

/* GET_LOCK's names: at most 64 characters, one space for the whole server. */
static char *
lock_name(Arena *arena, const char *prefix, const char *database)
{
    Str name = str_of(database ? database : "");
    if (strlen(prefix) + name.n <= 64)
        return str_printf(arena, "%s" STR_FMT, prefix, STR_ARG(name));
    return str_printf(arena, "%s%.32s", prefix, hash_hex(arena, HASH_SHA256, name));
}

Lock *
lock_new(Arena *arena, Db *control, const LockSpec *spec)
{
    static const LockOps *const ops[] = {[LOCK_AUTO] = &none_ops,
                                         [LOCK_SESSION] = &lock_session_ops,
                                         [LOCK_LEASE] = &lock_lease_ops,
                                         [LOCK_FILE] = &file_ops,
                                         [LOCK_NONE] = &none_ops};
    Lock *lock = arena_make(arena, Lock);
    const DbUrl *url = db_url(control);
    lock->arena = arena;
    lock->db = control;
    lock->spec = *spec;
    lock->ops = ops[spec->mode];
    lock->wait = db_wait(control);
    lock->name = lock_name(arena, "lockstep:", url->database);
    lock->mark = lock_name(arena, "lockstep-run:", url->database);
    if (spec->mode == LOCK_FILE)
        lock->file = file_lock_new(arena, url->database, spec, lock->wait);
    return lock;
}

/* Each takes its own first and then looks for the other: of two that do so at once at least one
 * sees the other and gives way. */
static bool
gives_way(Lock *lock, bool *ret_got, Error *err)
{
    const LockOps *other = lock->ops == &lock_session_ops ? &lock_lease_ops : &lock_session_ops;
    if (lock->ops != &lock_session_ops && lock->ops != &lock_lease_ops)
        return true;
    SCRATCH_ARENA(scratch);
    DbResult r;
    LockView view = {0};
    if (!db_has_query(lock->db, Q_LOCK_LEASE_EXISTS) ||
        (other == &lock_lease_ops &&
         !db_ask(lock->db, scratch, Q_LOCK_LEASE_EXISTS,
                 DB_ARGS(ARG_TEXT("schema", lock->spec.schema)), &r, err)))
        return err->code == ERROR_NONE;
    if (other == &lock_lease_ops && !r.rows)
        return true;
    if (!other->look(lock, scratch, &view, err))
        return false;
    if (!view.held || view.ours)
        return true;
    lock->ops->release(lock, NULL, NULL);
    lock->other = other;
    *ret_got = false;
    return true;
}

bool
lock_try(Lock *lock, bool *ret_got, Error *err)
{
    return lock->ops->attempt(lock, ret_got, err) && (!*ret_got || gives_way(lock, ret_got, err));
}

static const LockOps *
leading(const Lock *lock)
{
    return lock->other ? lock->other : lock->ops;
}

bool
lock_look(Lock *lock, Arena *arena, LockView *ret, Error *err)
{
    return leading(lock)->look(lock, arena, ret, err);
}

bool
lock_is_free(Lock *lock, bool *ret_free, Error *err)
{
    if (leading(lock)->is_free)
        return leading(lock)->is_free(lock, ret_free, err);
    SCRATCH_ARENA(scratch);
    LockView view;
    if (!lock_look(lock, scratch, &view, err))
        return false;
    *ret_free = !view.held;
    return true;
}

bool
lock_listen(Lock *lock, Error *err)
{
    return !leading(lock)->listen || leading(lock)->listen(lock, err);
}

bool
lock_listens(const Lock *lock)
{
    return lock->listens;
}

bool
lock_pause(Lock *lock, int64_t ms, bool *ret_told, Error *err)
{
    *ret_told = false;
    return leading(lock)->pause ? leading(lock)->pause(lock, ms, ret_told, err)
                                : wait_sleep(lock->wait, ms, err);
}

bool
lock_beat(Lock *lock, const char *progress, Error *err)
{
    return !lock->ops->beat || lock->ops->beat(lock, progress, err);
}

void
lock_release(Lock *lock, const char *outcome, const char *error)
{
    if (lock->ops->release)
        lock->ops->release(lock, outcome, error);
}

/* ---- ending sessions ---- */

static bool
session_lives(Lock *lock, int64_t session, bool *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    if (!db_ask(lock->db, scratch, Q_LOCK_SESSION_LIVES, DB_ARGS(ARG_INT("session", session)), &r,
                err))
        return false;
    *ret = r.rows && !str_eq(DB_CELL(&r, 0, 0), STR("0"));
    return true;
}

bool
lock_end_session(Lock *lock, int64_t session, int64_t deadline_ms, Error *err)
{
    Error gone = ERROR_INIT;
    if (!db_end_session(lock->db, session, &gone) && gone.cls == ERROR_CLASS_PRIVILEGE) {
        *err = gone;
        error_wrap(err, "session %lld cannot be ended", (long long)session);
        err->code = ERROR_LOCKED;
        return error_hint(
            err, "Migrate with the role that started it, or one that may end its sessions.");
    }
    for (;;) {
        bool lives;
        if (!session_lives(lock, session, &lives, err))
            return false;
        if (!lives)
            return true;
        if (clock_ms() >= deadline_ms)
            return error_set(err, ERROR_LOCKED,
                             "session %lld of a lost run was told to end and is still rolling back",
                             (long long)session);
        if (!wait_sleep(lock->wait, 20, err))
            return false;
    }
}

static bool
end_listed(Lock *lock,
           DbQuery query,
           Str which, /* a run id, or sessions that were written down */
           int64_t deadline_ms,
           int64_t *ret_ended,
           Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    if (!db_has_query(lock->db, query))
        return true;
    if (!db_ask(lock->db, scratch, query,
                DB_ARGS(ARG_TEXT("run_id", which), ARG_TEXT("known", which),
                        ARG_TEXT("mark", str_of(lock->mark))),
                &r, err))
        return false;
    for (size_t i = 0; i < r.rows; i++) {
        int64_t session;
        if (!str_to_i64(DB_CELL(&r, i, 0), &session))
            continue;
        if (r.cols > 1 && str_eq(DB_CELL(&r, i, 1), STR("1")))
            continue; /* our own */
        if (!lock_end_session(lock, session, deadline_ms, err))
            return false;
        (*ret_ended)++;
    }
    return true;
}

bool
lock_evict(Lock *lock, const LockView *view, int64_t timeout_ms, Error *err)
{
    int64_t deadline = clock_ms() + timeout_ms, ended = 0;
    if (leading(lock) == &lock_lease_ops)
        return lock_lease_evict(lock, view, err);
    if (leading(lock) != &lock_session_ops)
        return true;
    /* The sessions that apply first: nothing of the old leader may write once the lock is free. */
    if (view->run_id &&
        !end_listed(lock, Q_LOCK_SESSIONS_OF, str_of(view->run_id), deadline, &ended, err))
        return false;
    if (!end_listed(lock, Q_LOCK_SESSION_MARKED, STR(""), deadline, &ended, err))
        return false;
    bool lives = false;
    if (view->session_id && !session_lives(lock, view->session_id, &lives, err))
        return false;
    return !lives || lock_end_session(lock, view->session_id, deadline, err);
}

bool
lock_end_leftovers(Lock *lock, int64_t timeout_ms, int64_t *ret_ended, Error *err)
{
    int64_t deadline = clock_ms() + timeout_ms;
    *ret_ended = 0;
    if (!(db_caps(lock->db) & DB_CAP_SERVER) || lock->spec.mode == LOCK_NONE)
        return true;
    return end_listed(lock, Q_LOCK_SESSIONS_LEFT, str_of(lock->spec.run_id), deadline, ret_ended,
                      err) &&
           end_listed(lock, Q_LOCK_SESSION_MARKED, STR(""), deadline, ret_ended, err);
}

bool
lock_end_sessions(Lock *lock, Str sessions, int64_t timeout_ms, int64_t *ret_ended, Error *err)
{
    *ret_ended = 0;
    return lock->spec.mode == LOCK_NONE ||
           end_listed(lock, Q_LOCK_TOOL_LEFT, sessions, clock_ms() + timeout_ms, ret_ended, err);
}

bool
lock_mark_session(Lock *lock, Db *apply, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    if (!db_has_query(apply, Q_LOCK_SESSION_MARKED) || lock->spec.mode == LOCK_NONE)
        return true;
    if (!db_ask(apply, scratch, Q_LOCK_SESSION_TRY, DB_ARGS(ARG_TEXT("name", str_of(lock->mark))),
                &r, err))
        return false;
    if (r.rows && str_eq(DB_CELL(&r, 0, 0), STR("1")))
        return true;
    return error_set(err, ERROR_LOCKED, "the connection of an earlier leader still lives");
}

/* ---- other tools' locks ---- */

bool
lock_try_foreign(Db *control, const ForeignLock *lock, bool *ret_got, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult r;
    *ret_got = true;
    /* Tools without a lock of their own on this engine have neither key nor name. */
    bool by_name = db_engine(control) == DB_MYSQL;
    if (!db_has_query(control, Q_LOCK_FOREIGN_TRY) || (by_name ? !lock->name : !lock->key))
        return true;
    if (!db_ask(control, scratch, Q_LOCK_FOREIGN_TRY,
                DB_ARGS(ARG_INT("key", lock->key), ARG_TEXT("name", str_of(lock->name))), &r, err))
        return false;
    *ret_got = r.rows && str_eq(DB_CELL(&r, 0, 0), STR("1"));
    return true;
}

void
lock_release_foreign(Db *control, const ForeignLock *lock)
{
    Error ignored = ERROR_INIT;
    if (db_has_query(control, Q_LOCK_FOREIGN_FREE) &&
        !db_do(control, Q_LOCK_FOREIGN_FREE,
               DB_ARGS(ARG_INT("key", lock->key), ARG_TEXT("name", str_of(lock->name))), &ignored))
        error_clear(&ignored);
}
