/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to a database that may still be starting. */

#include "run/connect.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/banned.h"

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 2000, TELL_EVERY_MS = 10000 };

static bool
no_database_hint(Error *err)
{
    return error_hint(err,
                      "Create it, correct its name in the URL, or let lockstep make it: --create.");
}

/* Who waits for a database should not learn only afterwards that a file is refused. */
static bool
files_are_fine(Arena *arena, const RunOptions *options, Error *err)
{
    Source source;
    Error refused = ERROR_INIT;
    if (options->project || source_scan(arena, &options->source, &source, &refused))
        return true;
    *err = refused;
    return false;
}

bool
run_connect_finish(Arena *arena,
                   Wait *wait,
                   const RunOptions *options,
                   const DbOptions *how,
                   bool check_files,
                   Db **db,
                   Error *err)
{
    int64_t began = clock_ms(), deadline = began + options->wait_ms, told = 0;
    bool created = false;
    for (int tries = 0;; tries++) {
        if (*db ? db_connect_finish(*db, err) : db_connect(arena, options->url, how, db, err))
            return !options->project || tool_attach(arena, *db, options->project, err);
        db_close(*db);
        *db = NULL;
        if (err->cls == ERROR_CLASS_NO_DATABASE && options->create && !created && !how->read_only) {
            error_clear(err);
            if (!db_create_database(arena, options->url, how, err))
                return error_wrap(err, "creating the database");
            log_info("database.created", "created the database of %s", options->url->display);
            created = true;
            continue;
        }
        if (err->cls == ERROR_CLASS_NO_DATABASE)
            return no_database_hint(err);
        if (check_files && tries == 0 && !files_are_fine(arena, options, err))
            return false;
        /* The last attempt is made when the time is up, not before. */
        int64_t left = deadline - clock_ms();
        int64_t delay = clock_backoff_ms(tries, RETRY_MIN_MS, RETRY_MAX_MS);
        delay = delay > left ? left : delay;
        if (err->cls != ERROR_CLASS_CONNECTION || left <= 0) {
            if (err->cls == ERROR_CLASS_CONNECTION && options->wait_ms > 0 && tries > 0)
                error_detail(err, "waited %lld ms for it (--wait)",
                             (long long)(clock_ms() - began));
            return false;
        }
        if (!told || clock_ms() - told >= TELL_EVERY_MS) {
            log_info("database.waiting", "waiting for the database: %s", err->message);
            told = clock_ms();
        }
        error_clear(err);
        if (!wait_sleep(wait, delay, err))
            return false;
    }
}

bool
run_connect(Arena *arena,
            Wait *wait,
            const RunOptions *options,
            const char *application_name,
            bool read_only,
            Db **ret,
            Error *err)
{
    DbOptions how = {.wait = wait, .application_name = application_name, .read_only = read_only};
    Db *db = NULL;
    if (!run_connect_finish(arena, wait, options, &how, false, &db, err))
        return false;
    *ret = db;
    return true;
}
