/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite's backup API between two files. A writer that changes the source meanwhile makes the copy
 * begin again by itself (SQLite 3.x: sqlite3_backup_step), so it is never torn.
 */

#include "db/sqlite_internal.h"

#include "core/clock.h"

#include <sqlite3.h>

#include "core/banned.h"

enum { PAGES_A_STEP = 512, BUSY_PAUSE_MS = 50, BUSY_FOR_MS = 30000 };

static void
cleanup_sqlite(sqlite3 **db)
{
    sqlite3_close(*db);
}

static bool
fail(Error *err, sqlite3 *db, int code, const char *path)
{
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    error_set(err, ERROR_FAILED, "copying '%s': %s", path, why);
    if (code == SQLITE_FULL)
        err->cls = ERROR_CLASS_DISK_FULL;
    return false;
}

static bool
open_file(const char *path, int flags, sqlite3 **ret, Error *err)
{
    int code = sqlite3_open_v2(path, ret, flags, NULL);
    return code == SQLITE_OK || fail(err, *ret, code, path);
}

/* Busy means that somebody writes: for a while that is waited for. */
static bool
copy_pages(Wait *wait, sqlite3_backup *backup, int *ret_code, Error *err)
{
    int64_t deadline_ms = clock_ms() + BUSY_FOR_MS;
    for (;;) {
        int code = sqlite3_backup_step(backup, PAGES_A_STEP);
        bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
        *ret_code = code;
        if (code == SQLITE_OK)
            deadline_ms = clock_ms() + BUSY_FOR_MS;
        else if (!busy || clock_ms() > deadline_ms)
            return true;
        if (busy ? !wait_sleep(wait, BUSY_PAUSE_MS, err) : !wait_check(wait, err))
            return false;
    }
}

bool
sqlite_copy_file(Wait *wait, const char *from, const char *to, Error *err)
{
    CLEANUP(cleanup_sqlite) sqlite3 *source = NULL;
    CLEANUP(cleanup_sqlite) sqlite3 *target = NULL;
    if (!open_file(from, SQLITE_OPEN_READONLY, &source, err) ||
        !open_file(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &target, err))
        return false;
    sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
    if (backup == NULL)
        return fail(err, target, sqlite3_errcode(target), to);
    int code = SQLITE_OK;
    bool going = copy_pages(wait, backup, &code, err);
    int ended = sqlite3_backup_finish(backup);
    if (!going)
        return false;
    if (code != SQLITE_DONE)
        return fail(err, target, code, to);
    return ended == SQLITE_OK || fail(err, target, ended, to);
}
