/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite driver. SQLite blocks, so waiting is served from inside: its
 * busy handler and its progress handler call the connection's Wait, and a stop (signal, lost lock)
 * becomes an interrupted statement.
 */

#include "db/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"
#include "core/hash.h"
#include "db/param.h"

#include "core/banned.h"

#define BUSY_DEFAULT_MS 5000  /* until told otherwise; SQLite's own is 0 */
#define PROGRESS_OPS    10000 /* well under a millisecond of its virtual machine */
#define RESULT_MAX      ((size_t)256 << 20)

/* Switches of a session that a migration may turn and that later statements stumble over. */
static const int session_switches[] = {
    SQLITE_DBCONFIG_ENABLE_FKEY,        SQLITE_DBCONFIG_ENABLE_TRIGGER,
    SQLITE_DBCONFIG_ENABLE_VIEW,        SQLITE_DBCONFIG_WRITABLE_SCHEMA,
    SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, SQLITE_DBCONFIG_DEFENSIVE,
};

typedef struct Sqlite {
    sqlite3 *handle;
    Wait *wait;
    char *path;
    bool memory;
    int64_t busy_connect_ms, busy_ms, statement_ms;
    int64_t busy_since, deadline; /* deadline of the running statement, -1 = none */
    bool stopped, timed_out;
    Error stop;     /* why the statement was interrupted */
    bool disturbed; /* a PRAGMA or ATTACH ran since the session was last put right */
    int switches[COUNT_OF(session_switches)];
    char *text; /* NUL-terminated copy of what runs: prepare copies the rest otherwise */
    size_t text_size;
} Sqlite;

static Sqlite *
native(const Db *db)
{
    return db->native;
}

static void
finalize(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
}

/* ---- waiting ---- */

static bool
should_stop(Sqlite *s)
{
    if (!wait_check(s->wait, &s->stop)) {
        s->stopped = true;
        return true;
    }
    if (s->deadline >= 0 && clock_ms() >= s->deadline) {
        s->timed_out = true;
        return true;
    }
    return false;
}

static int
on_progress(void *ctx)
{
    return should_stop(ctx) ? 1 : 0;
}

static int
on_busy(void *ctx, int count)
{
    static const int pauses_ms[] = {1, 2, 5, 10, 15, 20, 25};
    Sqlite *s = ctx;
    int64_t now = clock_ms();
    int64_t pause, left;

    if (count == 0)
        s->busy_since = now;
    left = s->busy_since + s->busy_ms - now;
    if (left <= 0 || should_stop(s))
        return 0;
    pause = pauses_ms[count < (int)COUNT_OF(pauses_ms) ? count : (int)COUNT_OF(pauses_ms) - 1];
    if (pause > left)
        pause = left;
    s->stopped = !wait_sleep(s->wait, pause, &s->stop);
    return !s->stopped;
}

/* ---- errors ---- */

static ErrorClass
class_of_message(const char *message)
{
    static const struct {
        const char *words;
        ErrorClass cls;
    } known[] = {
        {"no such table", ERROR_CLASS_NO_TABLE},     {"already exists", ERROR_CLASS_DUPLICATE},
        {"there is already", ERROR_CLASS_DUPLICATE}, {"duplicate column", ERROR_CLASS_DUPLICATE},
        {"syntax error", ERROR_CLASS_SYNTAX},        {"incomplete input", ERROR_CLASS_SYNTAX},
        {"unrecognized token", ERROR_CLASS_SYNTAX},
    };

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strstr(message, known[i].words))
            return known[i].cls;
    }
    return ERROR_CLASS_OTHER;
}

static ErrorClass
class_of(const Sqlite *s, int rc)
{
    int why = sqlite3_system_errno(s->handle);

    switch (rc) {
    case SQLITE_CONSTRAINT_NOTNULL:
        return ERROR_CLASS_NULL_VIOLATION;
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_ROWID:
        return ERROR_CLASS_DUPLICATE;
    default:
        break;
    }
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return ERROR_CLASS_LOCK_TIMEOUT;
    case SQLITE_READONLY:
        return ERROR_CLASS_READ_ONLY;
    case SQLITE_FULL:
        return ERROR_CLASS_DISK_FULL;
    case SQLITE_IOERR:
        return why == ENOSPC || why == EDQUOT ? ERROR_CLASS_DISK_FULL : ERROR_CLASS_OTHER;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERROR_CLASS_PRIVILEGE;
    case SQLITE_INTERRUPT:
        return ERROR_CLASS_CANCELLED;
    case SQLITE_ERROR:
        return class_of_message(sqlite3_errmsg(s->handle));
    default:
        return ERROR_CLASS_OTHER;
    }
}

static void
add_hint(const Sqlite *s, int rc, Error *err)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
        error_hint(err,
                   "Another process holds the database '%s' locked; it goes on when that "
                   "one commits.",
                   s->path);
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        error_hint(err,
                   "SQLite writes '%s' and a journal beside it: give this user the right to "
                   "write both the file and its directory.",
                   s->path);
        break;
    case SQLITE_FULL:
        error_hint(err, "Free space on the file system of '%s', then run again.", s->path);
        break;
    default:
        break;
    }
}

/* `start`: where the failing statement begins in the text; SQLite counts from there. */
static bool
fail(Sqlite *s, int rc, size_t start, Error *err)
{
    int offset = sqlite3_error_offset(s->handle);

    if (s->stopped) {
        *err = s->stop;
        return false;
    }
    if (s->timed_out) {
        error_set(err, ERROR_FAILED,
                  "the statement took longer than the statement timeout of "
                  "%lld ms",
                  (long long)s->statement_ms);
        err->cls = ERROR_CLASS_TIMEOUT;
    } else if ((rc & 0xff) == SQLITE_NOTADB) {
        error_set(err, ERROR_UNREACHABLE, "'%s' is not a database of SQLite", s->path);
        err->cls = ERROR_CLASS_OTHER;
    } else {
        error_set(err, ERROR_FAILED, "%s", sqlite3_errmsg(s->handle));
        err->cls = class_of(s, rc);
        add_hint(s, rc, err);
    }
    snprintf(err->sqlstate, sizeof(err->sqlstate), "%d", rc);
    err->sql_offset = (int64_t)start + (offset > 0 ? offset : 0);
    return false;
}

/* ---- running ---- */

/* The first byte that is neither blank, comment nor an empty statement. */
static const char *
skip_blank(const char *p)
{
    for (;;) {
        if (*p == ' ' || (*p >= '\t' && *p <= '\r') || *p == ';') {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");

            p = end ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

static bool
hold_text(Db *db, Str sql, Error *err)
{
    Sqlite *s = native(db);
    const char *nul = sql.n ? memchr(sql.p, '\0', sql.n) : NULL;

    if (nul) {
        error_set(err, ERROR_FAILED, "the SQL text holds a NUL byte");
        err->cls = ERROR_CLASS_SYNTAX;
        err->sql_offset = nul - sql.p;
        return false;
    }
    if (sql.n + 1 > s->text_size) {
        size_t size = s->text_size ? s->text_size : 4096;

        while (size < sql.n + 1)
            size *= 2;
        s->text = arena_alloc(db->arena, size);
        s->text_size = size;
    }
    if (sql.n)
        memcpy(s->text, sql.p, sql.n);
    s->text[sql.n] = '\0';
    return true;
}

typedef struct Rows {
    Arena *arena; /* NULL: rows are thrown away */
    VEC(Str) cells;
    size_t rows, cols, bytes;
} Rows;

static bool
keep_row(Rows *rows, sqlite3_stmt *statement, Error *err)
{
    for (size_t i = 0; i < rows->cols; i++) {
        const char *text = (const char *)sqlite3_column_text(statement, (int)i);
        size_t n = (size_t)sqlite3_column_bytes(statement, (int)i);

        rows->bytes += n + sizeof(Str);
        if (rows->bytes > RESULT_MAX)
            return error_set(err, ERROR_FAILED, "the answer of the database is too large");
        *vec_push(rows->arena, &rows->cells) =
            text ? str_copy(rows->arena, (Str){text, n}) : STR_ABSENT;
    }
    rows->rows++;
    return true;
}

static bool
run_statement(Db *db, sqlite3_stmt *statement, size_t start, Rows *rows, Error *err)
{
    Sqlite *s = native(db);
    sqlite3_int64 before = sqlite3_total_changes64(s->handle);
    int columns = sqlite3_column_count(statement);
    int rc;

    if (columns > 0) {
        rows->cells.n = 0;
        rows->rows = 0;
        rows->bytes = 0;
        rows->cols = (size_t)columns;
    }
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (rows->arena && !keep_row(rows, statement, err))
            return false;
    }
    if (rc != SQLITE_DONE)
        return fail(s, rc, start, err);
    /* sqlite3_changes keeps its number over statements that change no row. */
    db->changes = sqlite3_total_changes64(s->handle) == before ? 0 : sqlite3_changes64(s->handle);
    return true;
}

/* One after another: a later statement may need what an earlier one made to be prepared at all. */
static bool
sqlite_query(Db *db, Arena *arena, Str sql, DbResult *ret, size_t *ret_done, Error *err)
{
    Sqlite *s = native(db);
    Rows rows = {.arena = ret ? arena : NULL};
    size_t done = 0;
    const char *p;

    if (ret_done)
        *ret_done = 0;
    s->stopped = s->timed_out = false;
    error_clear(&s->stop);
    if (!hold_text(db, sql, err))
        return false;
    db->changes = 0;
    for (p = skip_blank(s->text); *p; p = skip_blank(p)) {
        CLEANUP(finalize) sqlite3_stmt *statement = NULL;
        const char *tail = NULL;
        size_t start = (size_t)(p - s->text);
        int rc;

        s->deadline = s->statement_ms > 0 ? clock_ms() + s->statement_ms : -1;
        rc = sqlite3_prepare_v2(s->handle, p, -1, &statement, &tail);
        if (rc != SQLITE_OK)
            return fail(s, rc, start, err);
        if (strncasecmp(p, "pragma", 6) == 0 || strncasecmp(p, "attach", 6) == 0)
            s->disturbed = true;
        if (statement && !run_statement(db, statement, start, &rows, err))
            return false;
        done += statement != NULL;
        if (ret_done)
            *ret_done = done;
        p = tail;
    }
    if (ret)
        *ret = (DbResult){.rows = rows.rows, .cols = rows.cols, .cells = rows.cells.p};
    return true;
}

/* ---- connecting ---- */

/* lockstep_hash(a, b, ...): CRC-32 over the values, NULL and '' told apart. */
static void
hash_values(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint32_t crc = 0;

    for (int i = 0; i < count; i++) {
        const char *text = (const char *)sqlite3_value_text(values[i]);

        if (text)
            crc = hash_crc32(crc, (Str){text, (size_t)sqlite3_value_bytes(values[i])});
        crc = hash_crc32(crc, text ? STR("\x01") : STR("\x02"));
    }
    sqlite3_result_int64(context, crc);
}

static bool
unreachable(ErrorClass cls, Error *err)
{
    err->cls = cls;
    return false;
}

static char *
parent_of(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return str_dup(arena, STR("."));
    return str_dup(arena, slash == path ? STR("/") : (Str){path, (size_t)(slash - path)});
}

static bool
can_write(const char *path)
{
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

/* What SQLite would call "unable to open database file", in words. */
static bool
check_place(Db *db, bool make, Error *err)
{
    Sqlite *s = native(db);
    FsKind kind = fs_kind(s->path);
    char *dir = parent_of(db->arena, s->path);

    if (kind == FS_DIR) {
        error_set(err, ERROR_UNREACHABLE, "the database '%s' is a directory", s->path);
        return unreachable(ERROR_CLASS_OTHER, err);
    }
    if (kind != FS_ABSENT)
        return true;
    if (fs_kind(dir) != FS_DIR) {
        error_set(err, ERROR_UNREACHABLE,
                  "the database file '%s' cannot be: there is no directory "
                  "'%s'",
                  s->path, dir);
        error_hint(err, "Create the directory, mount the volume there, or say --create.");
        return unreachable(ERROR_CLASS_NO_DATABASE, err);
    }
    if (!make) {
        error_set(err, ERROR_UNREACHABLE, "the database file '%s' does not exist", s->path);
        return unreachable(ERROR_CLASS_NO_DATABASE, err);
    }
    if (!can_write(dir)) {
        error_set(err, ERROR_REFUSED,
                  "the database file '%s' cannot be made: its directory is not writable", s->path);
        error_hint(err,
                   "Give this user the right to write in the directory, or mount it writable.");
        return unreachable(ERROR_CLASS_READ_ONLY, err);
    }
    return true;
}

static bool
choose_path(Db *db, int *ret_flags, bool *ret_make, Error *err)
{
    Sqlite *s = native(db);
    const char *path = db->url.database ? db->url.database : "";
    const char *mode = PARAM(&db->url, "mode");
    bool read_only = db->options.read_only;
    bool make = !read_only;

    if (mode && strcmp(mode, "ro") == 0)
        read_only = true;
    else if (mode && strcmp(mode, "memory") == 0)
        path = ":memory:";
    else if (mode && strcmp(mode, "rw") != 0 && strcmp(mode, "rwc") != 0)
        return param_refused("mode", mode, "one of ro, rw, rwc, memory", err);
    if (mode && strcmp(mode, "rwc") != 0)
        make = false;
    if (!path[0])
        return error_set(err, ERROR_USAGE, "the database URL names no file");
    s->memory = strcmp(path, ":memory:") == 0;
    /* Only ":memory:" is special; a library built with SQLITE_USE_URI would read "file:" too. */
    if (!s->memory && (path[0] == ':' || strncmp(path, "file:", 5) == 0))
        s->path = str_printf(db->arena, "./%s", path);
    else
        s->path = str_dup(db->arena, str_of(path));
    *ret_flags = s->memory || !read_only ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    if (s->memory || make)
        *ret_flags |= SQLITE_OPEN_CREATE;
    *ret_make = make;
    return true;
}

static bool
open_file(Db *db, Error *err)
{
    Sqlite *s = native(db);
    int flags = 0;
    bool make = false;
    int rc;

    if (!choose_path(db, &flags, &make, err))
        return false;
    if (!s->memory && !check_place(db, make, err))
        return false;
    rc = sqlite3_open_v2(s->path, &s->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                         NULL);
    if (rc != SQLITE_OK) {
        int why = s->handle ? sqlite3_system_errno(s->handle) : 0;

        error_set(err, ERROR_UNREACHABLE, "cannot open the database file '%s': %s", s->path,
                  why ? strerror(why) : sqlite3_errstr(rc));
        err->sys_errno = why;
        add_hint(s, rc, err);
        return unreachable(why == EACCES || why == EPERM || why == EROFS ? ERROR_CLASS_PRIVILEGE
                                                                         : ERROR_CLASS_CONNECTION,
                           err);
    }
    return true;
}

static bool
read_params(Db *db, Error *err)
{
    Sqlite *s = native(db);
    const char *keys = PARAM(&db->url, "foreign_keys", "_foreign_keys", "_fk");
    const char *busy = PARAM(&db->url, "busy_timeout", "_busy_timeout", "_timeout");
    const char *cache = dburl_param(&db->url, "cache");
    bool on = false;

    if (cache && strcmp(cache, "private") != 0)
        return param_refused("cache", cache, "private: one process has one connection", err);
    s->busy_connect_ms = BUSY_DEFAULT_MS;
    if (busy && (!str_to_i64(str_of(busy), &s->busy_connect_ms) || s->busy_connect_ms < 0))
        return param_refused("busy_timeout", busy, "a number of milliseconds", err);
    s->busy_ms = s->busy_connect_ms;
    if (keys) {
        if (!str_to_bool(str_of(keys), &on))
            return param_refused("foreign_keys", keys, "on or off", err);
        sqlite3_db_config(s->handle, SQLITE_DBCONFIG_ENABLE_FKEY, (int)on, NULL);
    }
    return true;
}

static bool
set_journal_mode(Db *db, Error *err)
{
    static const char *const modes[] = {"delete", "truncate", "persist", "memory", "wal", "off"};
    const char *mode = PARAM(&db->url, "journal_mode", "_journal_mode", "_journal");

    if (!mode || db->options.read_only || sqlite3_db_readonly(native(db)->handle, "main"))
        return true;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        if (strcasecmp(mode, modes[i]) == 0)
            return db_do(db, Q_SQLITE_JOURNAL_MODE, DB_ARGS(ARG_RAW("mode", str_of(modes[i]))),
                         err);
    }
    return param_refused("journal_mode", mode, "one of delete, truncate, persist, memory, wal, off",
                         err);
}

static bool
sqlite_connect(Db *db, Error *err)
{
    Sqlite *s = arena_make(db->arena, Sqlite);

    db->native = s;
    s->wait = db->options.wait;
    s->deadline = -1;
    if (!open_file(db, err) || !read_params(db, err))
        return false;
    sqlite3_busy_handler(s->handle, on_busy, s);
    sqlite3_progress_handler(s->handle, PROGRESS_OPS, on_progress, s);
    sqlite3_create_function_v2(s->handle, "lockstep_hash", -1,
                               SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                               hash_values, NULL, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(session_switches); i++)
        sqlite3_db_config(s->handle, session_switches[i], -1, &s->switches[i]);
    if (!db_do(db, Q_SQLITE_PROBE, DB_ARGS(), err)) {
        /* Somebody who holds the whole file for now does not make it unreachable. */
        if (err->cls != ERROR_CLASS_LOCK_TIMEOUT)
            return error_wrap(err, "cannot read the database '%s'", s->path);
        error_clear(err);
    }
    if (!set_journal_mode(db, err))
        return false;
    s->disturbed = false;
    return true;
}

static void
sqlite_close(Db *db)
{
    Sqlite *s = native(db);

    if (s && s->handle) {
        sqlite3_close_v2(s->handle);
        s->handle = NULL;
    }
}

static bool
sqlite_alive(const Db *db)
{
    return native(db) && native(db)->handle;
}

/* --create: the directory; the file makes itself. */
static bool
sqlite_create_database(Arena *arena, const DbUrl *url, const DbOptions *options, Error *err)
{
    const char *path = url->database;

    (void)options;
    if (!path || strcmp(path, ":memory:") == 0)
        return true;
    return fs_make_dirs(parent_of(arena, path), err);
}

/* ---- the session ---- */

/* Of the place, not of how we opened it: a look opens read-only whatever the file allows. */
static bool
place_is_read_only(const Db *db, Arena *arena)
{
    const Sqlite *s = native(db);
    const char *mode = PARAM(&db->url, "mode");

    if (s->memory)
        return false;
    if (mode && strcmp(mode, "ro") == 0)
        return true;
    if (!db->options.read_only && sqlite3_db_readonly(s->handle, "main") == 1)
        return true;
    return !can_write(s->path) || !can_write(parent_of(arena, s->path));
}

static bool
sqlite_facts(Db *db, Arena *arena, DbFacts *ret, Error *err)
{
    (void)err;
    *ret = (DbFacts){
        .version_num = sqlite3_libversion_number(),
        .version_major = sqlite3_libversion_number() / 1000000,
        .version = str_dup(arena, str_of(sqlite3_libversion())),
        .flavor = str_dup(arena, STR("sqlite")),
        .database = str_dup(arena, str_of(native(db)->path)),
        .schema = str_dup(arena, STR("main")),
        .read_only = place_is_read_only(db, arena),
        .now = clock_rfc3339(arena),
    };
    ret->can_create = !ret->read_only;
    return true;
}

static bool
detach_all(Db *db, Error *err)
{
    SCRATCH_ARENA(scratch);
    const char *name;

    /* 0 is main, 1 is temp; numbers close up after each. */
    while ((name = sqlite3_db_name(native(db)->handle, 2))) {
        Str quoted = sqlite_quote_ident(db, scratch, str_of(name));

        if (!db_do(db, Q_SQLITE_DETACH, DB_ARGS(ARG_RAW("name", quoted)), err))
            return false;
    }
    return true;
}

/* Thousands of small migrations pass here: nothing is sent unless one disturbed the session. */
static bool
sqlite_reset(Db *db, Error *err)
{
    Sqlite *s = native(db);

    if (!sqlite3_get_autocommit(s->handle)) {
        s->stopped = s->timed_out = false;
        s->deadline = -1;
        /* Not db_exec: a rollback must go through although a signal is waiting. */
        sqlite3_progress_handler(s->handle, 0, NULL, NULL);
        int rc = sqlite3_exec(s->handle, "rollback", NULL, NULL, NULL);
        sqlite3_progress_handler(s->handle, PROGRESS_OPS, on_progress, s);
        if (rc != SQLITE_OK && !sqlite3_get_autocommit(s->handle))
            return fail(s, rc, 0, err);
    }
    if (!s->disturbed)
        return true;
    sqlite3_busy_handler(s->handle, on_busy, s); /* PRAGMA busy_timeout puts another in its place */
    for (size_t i = 0; i < COUNT_OF(session_switches); i++)
        sqlite3_db_config(s->handle, session_switches[i], s->switches[i], NULL);
    if (!db_do(db, Q_SQLITE_DEFAULTS, DB_ARGS(), err) || !detach_all(db, err))
        return false;
    s->disturbed = false;
    return true;
}

static bool
sqlite_in_transaction(const Db *db)
{
    return !sqlite3_get_autocommit(native(db)->handle);
}

static bool
sqlite_set_timeouts(Db *db, int64_t lock_ms, int64_t statement_ms, Error *err)
{
    Sqlite *s = native(db);

    (void)err;
    s->busy_ms = lock_ms > 0 ? lock_ms : s->busy_connect_ms;
    s->statement_ms = statement_ms;
    return true;
}

/* ---- others: there is no server that could tell ---- */

static bool
sqlite_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err)
{
    (void)db, (void)arena, (void)session_id, (void)err;
    *ret = STR("");
    return true;
}

static bool
sqlite_victims(Db *db, int64_t session_id, int64_t *longest_ms, int64_t *count, Error *err)
{
    (void)db, (void)session_id, (void)err;
    *longest_ms = 0;
    *count = 0;
    return true;
}

static LibraryVersion
sqlite_library(Arena *arena)
{
    (void)arena;
    return (LibraryVersion){"sqlite", sqlite3_libversion()};
}

const DbDriver driver_sqlite = {
    .name = "sqlite",
    .engine = DB_SQLITE,
    .caps = DB_CAP_DDL_TRANSACTION | DB_CAP_SCRIPT | DB_CAP_GROUP_COMMIT,
    .queries = queries_sqlite,
    .library = sqlite_library,
    .connect_finish = sqlite_connect,
    .close = sqlite_close,
    .alive = sqlite_alive,
    .query = sqlite_query,
    .facts = sqlite_facts,
    .reset = sqlite_reset,
    .in_transaction = sqlite_in_transaction,
    .set_timeouts = sqlite_set_timeouts,
    .quote_ident = sqlite_quote_ident,
    .quote_literal = sqlite_quote_literal,
    .digest_expr = sqlite_digest_expr,
    .create_database = sqlite_create_database,
    .copy_file = sqlite_copy_file,
    .blockers = sqlite_blockers,
    .victims = sqlite_victims,
};
