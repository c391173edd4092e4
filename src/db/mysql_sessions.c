/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a MySQL or MariaDB server tells about itself and its sessions. Most of it stands in views
 * that one version lacks, one setting switches off and one privilege hides: each question has a
 * list of ways to ask, and a server that refuses one is not asked that way again.
 */

#include "db/mysql_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/banned.h"

#define NO_SUCH_THREAD  "1094"
#define LINES_MAX       16384
#define STATEMENT_SHOWN 200

/* A refusal of the server is an answer (*ret_ok false); a stop or a lost connection is not. */
static bool
try_ask(
    Db *db, Arena *arena, DbQuery query, const DbArg *args, DbResult *ret, bool *ret_ok, Error *err)
{
    Error why = ERROR_INIT;

    *ret_ok = db_ask(db, arena, query, args, ret, &why);
    if (*ret_ok || (why.sqlstate[0] && why.cls != ERROR_CLASS_CONNECTION && db_alive(db)))
        return true;
    *err = why;
    return false;
}

/* ---- facts ---- */

static bool
is_on(Str value)
{
    return value.n && !str_eq(value, STR("0")) && !str_eq_nocase(value, STR("off"));
}

static bool
contains(Str text, const char *word)
{
    return str_find_str(text, str_of(word)) < text.n;
}

/* read_only does not bind everybody, and the server does not tell whom: rights do. A role's rights
 * are not listed here; who has them by a role alone counts as bound. */
static bool
may_write_anyway(Db *db, Arena *arena, bool *ret, Error *err)
{
    static const char *const rights[] = {"ALL PRIVILEGES", "SUPER", "READ_ONLY ADMIN",
                                         "READ ONLY ADMIN", "CONNECTION_ADMIN"};
    DbResult grants = {0};
    bool ok = false;

    if (!try_ask(db, arena, Q_MYSQL_GRANTS, DB_ARGS(), &grants, &ok, err))
        return false;
    *ret = false;
    for (size_t i = 0; ok && i < grants.rows; i++) {
        Str grant = DB_CELL(&grants, i, 0);

        if (!contains(grant, " ON *.* "))
            continue;
        for (size_t j = 0; j < COUNT_OF(rights); j++)
            *ret |= contains(grant, rights[j]);
    }
    return true;
}

static bool
ask_facts(Db *db, Arena *arena, DbResult *ret, Error *err)
{
    const char *variables = mysql_server(db)->mariadb ? "information_schema.session_variables"
                                                      : "performance_schema.session_variables";
    bool ok = false;

    if (!try_ask(db, arena, Q_MYSQL_FACTS, DB_ARGS(ARG_RAW("variables", str_of(variables))), ret,
                 &ok, err))
        return false;
    return ok || db_ask(db, arena, Q_MYSQL_FACTS_PLAIN, DB_ARGS(), ret, err);
}

bool
mysql_facts(Db *db, Arena *arena, DbFacts *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    const MysqlServer *server = mysql_server(db);
    DbResult row = {0};
    DbFacts facts = {0};
    Str mode, others;
    bool exempt = false;

    if (!ask_facts(db, scratch, &row, err))
        return false;
    mode = DB_CELL(&row, 0, 4);
    others = DB_CELL(&row, 0, 7);
    facts.version_num = server->version_num;
    facts.version_major = server->version_num / 10000;
    facts.version = str_dup(arena, DB_CELL(&row, 0, 0));
    facts.flavor = str_dup(arena, contains(others, "wsrep_on=on") ? STR("galera")
                                  : server->mariadb               ? STR("mariadb")
                                                                  : STR("mysql"));
    facts.database = str_dup(arena, DB_CELL(&row, 0, 1));
    facts.schema = facts.database;
    facts.can_create = facts.schema != NULL; /* a missing right shows when it is tried */
    facts.user = str_dup(arena, DB_CELL(&row, 0, 2));
    if (!str_to_i64(DB_CELL(&row, 0, 3), &facts.session_id))
        facts.session_id = 0;
    facts.now = str_dup(arena, DB_CELL(&row, 0, 5));
    facts.no_backslash_escapes = contains(mode, "NO_BACKSLASH_ESCAPES");
    facts.ansi_quotes = contains(mode, "ANSI_QUOTES");
    if (contains(others, "super_read_only=on") || contains(others, "innodb_read_only=on")) {
        facts.read_only = true;
    } else if (is_on(DB_CELL(&row, 0, 6))) {
        if (!may_write_anyway(db, scratch, &exempt, err))
            return false;
        facts.read_only = !exempt;
    }
    *ret = facts;
    return true;
}

/* ---- sessions ---- */

static bool
kill_session(Db *db, DbQuery query, int64_t session_id, Error *err)
{
    if (db_do(db, query, DB_ARGS(ARG_INT("id", session_id)), err))
        return true;
    if (strcmp(err->sqlstate, NO_SUCH_THREAD) != 0)
        return false;
    error_clear(err); /* it went by itself */
    return true;
}

bool
mysql_cancel_session(Db *db, int64_t session_id, Error *err)
{
    return kill_session(db, Q_MYSQL_KILL_QUERY, session_id, err);
}

bool
mysql_end_session(Db *db, int64_t session_id, Error *err)
{
    return kill_session(db, Q_MYSQL_KILL, session_id, err);
}

static void
add_session(StrBuf *lines, Arena *scratch, const DbResult *rows, size_t i, bool certain)
{
    Str user = DB_CELL(rows, i, 1), base = DB_CELL(rows, i, 2);
    Str command = DB_CELL(rows, i, 3), info = DB_CELL(rows, i, 5);
    int64_t seconds = 0;
    bool idle = str_eq_nocase(command, STR("Sleep"));

    if (!str_to_i64(DB_CELL(rows, i, 4), &seconds))
        seconds = 0;
    if (lines->n)
        strbuf_addc(lines, '\n');
    strbuf_printf(lines, "%sconnection " STR_FMT " (" STR_FMT ", " STR_FMT " for %s",
                  certain ? "" : "perhaps ", STR_ARG(DB_CELL(rows, i, 0)), STR_ARG(user),
                  STR_ARG(idle ? STR("idle") : command),
                  str_from_duration_ms(scratch, seconds * 1000));
    if (base.n)
        strbuf_printf(lines, ", " STR_FMT, STR_ARG(base));
    strbuf_addc(lines, ')');
    if (!info.n)
        return;
    strbuf_puts(lines, ": ");
    info = str_trim(info);
    for (size_t at = 0; at < info.n && at < STATEMENT_SHOWN; at++)
        strbuf_addc(lines, info.p[at] == '\n' || info.p[at] == '\r' ? ' ' : info.p[at]);
}

bool
mysql_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err)
{
    static const struct {
        DbQuery query;
        bool certain;
    } ways[] = {
        {Q_MYSQL_BLOCKERS_METADATA, true}, {Q_MYSQL_BLOCKERS_PLUGIN, true},
        {Q_MYSQL_BLOCKERS_DATA, true},     {Q_MYSQL_BLOCKERS_ROWS, true},
        {Q_MYSQL_BLOCKERS_OPEN, false},    {Q_MYSQL_BLOCKERS_GUESS, false},
    };
    SCRATCH_ARENA(scratch);
    StrBuf lines = strbuf_new(arena, LINES_MAX);

    for (size_t i = 0; i < COUNT_OF(ways) && lines.n == 0; i++) {
        DbResult rows = {0};
        bool ok = false;

        if (!try_ask(db, scratch, ways[i].query, DB_ARGS(ARG_INT("id", session_id)), &rows, &ok,
                     err))
            return false;
        for (size_t j = 0; ok && j < rows.rows; j++)
            add_session(&lines, scratch, &rows, j, ways[i].certain);
    }
    *ret = lines.n ? strbuf_str(&lines) : STR("");
    return true;
}

typedef struct Victims {
    int64_t longest_ms, count;
} Victims;

/* One way of counting, unless the server refused it before (its bit in `lock_views`). A third
 * column of 0 says that the view is there but switched off. */
static bool
count_victims(
    Db *db, DbQuery query, int bit, int64_t session_id, Victims *sum, bool *ret_ok, Error *err)
{
    SCRATCH_ARENA(scratch);
    MysqlServer *server = mysql_server(db);
    const char *ms = server->mariadb ? "p.time_ms" : "p.time * 1000";
    DbResult row = {0};
    int64_t count = 0, longest = 0;

    *ret_ok = false;
    if (server->lock_views & bit)
        return true;
    if (!try_ask(db, scratch, query, DB_ARGS(ARG_INT("id", session_id), ARG_RAW("ms", str_of(ms))),
                 &row, ret_ok, err))
        return false;
    if (*ret_ok && (row.rows != 1 || (row.cols > 2 && !is_on(DB_CELL(&row, 0, 2)))))
        *ret_ok = false;
    if (!*ret_ok) {
        server->lock_views |= bit;
        return true;
    }
    if (str_to_i64(DB_CELL(&row, 0, 0), &count) && str_to_i64(DB_CELL(&row, 0, 1), &longest)) {
        sum->count += count;
        if (longest > sum->longest_ms)
            sum->longest_ms = longest;
    }
    return true;
}

bool
mysql_victims(Db *db, int64_t session_id, int64_t *longest_ms, int64_t *count, Error *err)
{
    Victims sum = {0};
    bool ok = false;

    if (!count_victims(db, Q_MYSQL_VICTIMS_METADATA, 1, session_id, &sum, &ok, err))
        return false;
    if (!ok && !count_victims(db, Q_MYSQL_VICTIMS_GUESS, 2, session_id, &sum, &ok, err))
        return false;
    if (!count_victims(db, Q_MYSQL_VICTIMS_DATA, 4, session_id, &sum, &ok, err))
        return false;
    if (!ok && !count_victims(db, Q_MYSQL_VICTIMS_ROWS, 8, session_id, &sum, &ok, err))
        return false;
    *longest_ms = sum.longest_ms;
    *count = sum.count;
    return true;
}
