/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The follower's loop. It polls with single statements in autocommit: a session that waits inside
 * the database would hold a snapshot, and CREATE INDEX CONCURRENTLY would wait for it for ever.
 */

#include "run/follow.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/banned.h"

enum {
    POLL_MIN_MS = 30,
    POLL_MAX_MS = 500,
    LOOK_EVERY_MS = 1000, /* closely */
    FIRST_LOOK_MS = 250,  /* where looking costs the leader's server nothing; shorter is no news */
    TELL_EVERY_MS = 10000,
    EVICT_MS = 10000
};

/* In proportion to how long the leader has been at it: short runs are noticed at once, long ones
 * are not disturbed by fifty replicas asking sixty times a second. */
static int64_t
poll_ms(int64_t waited_ms)
{
    int64_t ms = waited_ms / 8;
    ms = ms < POLL_MIN_MS ? POLL_MIN_MS : ms > POLL_MAX_MS ? POLL_MAX_MS : ms;
    return ms / 2 + clock_backoff_ms(0, ms, ms) / 2;
}

static void
tell(Arena *arena,
     Db *db,
     const RunOptions *options,
     const LockView *view,
     Str runs_schema,
     int64_t waited_ms)
{
    RunLatest latest = {0};
    Error ignored = ERROR_INIT;
    if (!record_latest(db, arena, runs_schema, clock_ms() - options->started_ms, &latest, &ignored))
        error_clear(&ignored);
    const char *progress = view->progress ? view->progress : "";
    if (!view->progress && latest.found && latest.applied > 0)
        progress = str_printf(arena, "%lld applied so far", (long long)latest.applied);
    LogField fields[] = {
        LOG_STR("leader", str_of(view->run_id)), LOG_INT("waited_ms", waited_ms), {0}};
    log_event(LOG_INFO, "lock.waiting", fields, "waiting: another process migrates (%s)%s%s",
              view->who ? view->who : "unknown", progress[0] ? ": " : "", progress);
}

static bool
too_long(const LockView *view, int64_t waited_ms, Error *err)
{
    error_set(err, ERROR_LOCKED, "the lock was not obtained in %lld s: held by %s",
              (long long)(waited_ms / 1000), view->who ? view->who : "another process");
    return error_hint(err, "Wait for that migration to end, or give --lock-wait more time.");
}

/* The lock's own signs of life may be hidden from our role: the run's heartbeat tells then. */
static bool
is_lost(Arena *arena, Db *db, const RunOptions *options, const LockView *view, Str runs_schema)
{
    RunLatest latest = {0};
    Error ignored = ERROR_INIT;
    if (view->silent_ms >= 0)
        return view->lost;
    if (!record_latest(db, arena, runs_schema, 0, &latest, &ignored))
        return false;
    return latest.found && strcmp(latest.outcome, "running") == 0 &&
           latest.silent_ms > options->lease_ms;
}

/* A closer look than the poll's: is the leader alive, who is it, how long may we wait. */
static bool
look_closely(const RunOptions *options,
             Db *db,
             Lock *lock,
             Str runs_schema,
             int64_t began_ms,
             int64_t *told_ms,
             int64_t deadline_ms,
             bool *ret_free,
             Error *err)
{
    SCRATCH_ARENA(scratch);
    LockView view = {0};
    int64_t now = clock_ms();
    *ret_free = false;
    if (!lock_look(lock, scratch, &view, err))
        return false;
    if (!view.held) {
        *ret_free = true;
        return true;
    }
    if ((view.session_id || view.run_id) && is_lost(scratch, db, options, &view, runs_schema)) {
        log_warn("lock.taken-over", "the leader (%s) gave no sign of life for %lld ms: taking over",
                 view.who ? view.who : "unknown", (long long)view.silent_ms);
        *ret_free = true;
        return lock_evict(lock, &view, EVICT_MS, err);
    }
    if (now >= deadline_ms)
        return too_long(&view, now - began_ms, err);
    if (!*told_ms || now - *told_ms >= TELL_EVERY_MS) {
        tell(scratch, db, options, &view, runs_schema, now - began_ms);
        *told_ms = now;
    }
    return true;
}

FollowEnd
follow_leader(
    const RunOptions *options, Db *db, Lock *lock, Str runs_schema, int64_t deadline_ms, Error *err)
{
    int64_t began = clock_ms(), told = 0, look = 0;
    for (;;) {
        bool free = false;
        if (!lock_pause(lock, poll_ms(clock_ms() - began), &free, err))
            return FOLLOW_FAILED;
        int64_t now = clock_ms();
        if (!look)
            look = began + (lock_listens(lock) ? LOOK_EVERY_MS : FIRST_LOOK_MS);
        if (free && now < deadline_ms)
            return FOLLOW_FREE;
        bool closely = now >= look || now >= deadline_ms;
        if (closely ? !look_closely(options, db, lock, runs_schema, began, &told, deadline_ms,
                                    &free, err)
                    : !lock_is_free(lock, &free, err))
            return err->code == ERROR_LOCKED ? FOLLOW_DEADLINE : FOLLOW_FAILED;
        if (closely)
            look = now + LOOK_EVERY_MS;
        if (free)
            return FOLLOW_FREE;
    }
}

bool
follow_shares_failure(const RunLatest *latest,
                      Arena *arena,
                      const RunOptions *options,
                      const Source *source,
                      Error *err)
{
    if (!latest->found || !latest->recent || strcmp(latest->outcome, "failed") != 0)
        return false;
    Str files = str_of(record_files_print(arena, source, options));
    if (!str_starts(str_of(latest->fingerprint), files))
        return false;
    error_set(err, ERROR_FAILED, "%s", latest->error);
    error_detail(err, "this is the outcome of run %s on %s, which migrated for all replicas",
                 latest->run_id, latest->host[0] ? latest->host : "another host");
    return true;
}

bool
follow_shares_success(const RunLatest *latest,
                      Arena *arena,
                      const RunOptions *options,
                      const Source *source)
{
    Str files = str_of(record_files_print(arena, source, options));
    return latest->found && latest->recent && strcmp(latest->outcome, "succeeded") == 0 &&
           str_starts(str_of(latest->fingerprint), files);
}
