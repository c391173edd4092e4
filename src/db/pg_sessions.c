/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of the server, and sessions of others: who waits for whom, cancelling, ending. */

#include <string.h>

#include "db/pg_internal.h"
#include "core/banned.h"

static int64_t
number(Str s)
{
    int64_t n = 0;
    return str_to_i64(s, &n) ? n : 0;
}

static bool
yes(Str s)
{
    return str_eq(s, STR("t"));
}

static char *
first_words(Arena *arena, Str version)
{
    size_t comma = str_find(version, ',');
    Str head = str_sub(version, 0, comma);
    size_t on = str_find_str(head, STR(" on "));
    return str_dup(arena, str_sub(head, 0, on));
}

/* A pooler answers with a key of its own when we connect (engines: PgBouncer 1.18). */
bool
pg_is_pooled(const Db *db, int64_t session_id)
{
    const char *hint = dburl_param(&db->url, "pgbouncer");
    return PQbackendPID(pg_of(db)->conn) != (int)session_id || (hint && strcmp(hint, "true") == 0);
}

bool
pg_facts_ask(Db *db, Arena *arena, DbFacts *ret, Error *err)
{
    DbResult r;
    if (!db_ask(db, arena, Q_PG_FACTS, NULL, &r, err))
        return false;
    int64_t version = number(DB_CELL(&r, 0, 1));
    bool cockroach = str_find_str(DB_CELL(&r, 0, 0), STR("CockroachDB")) < DB_CELL(&r, 0, 0).n;
    int64_t pid = number(DB_CELL(&r, 0, 8));
    *ret = (DbFacts){
        .version_num = (int)version,
        .version_major = (int)(version / 10000),
        .version = first_words(arena, DB_CELL(&r, 0, 0)),
        .flavor = str_dup(arena, cockroach ? STR("cockroachdb") : STR("postgresql")),
        .database = str_dup(arena, DB_CELL(&r, 0, 2)),
        .user = str_dup(arena, DB_CELL(&r, 0, 3)),
        .schema = str_dup(arena, DB_CELL(&r, 0, 4)),
        .standby = yes(DB_CELL(&r, 0, 5)),
        .read_only = yes(DB_CELL(&r, 0, 6)),
        .can_create = yes(DB_CELL(&r, 0, 7)),
        .session_id = pid,
        .pooled = pg_is_pooled(db, pid),
        .now = str_dup(arena, DB_CELL(&r, 0, 9)),
    };
    return true;
}

bool
pg_cancel_session(Db *db, int64_t session_id, Error *err)
{
    return db_do(db, Q_PG_CANCEL, DB_ARGS(ARG_INT("session", session_id)), err);
}

bool
pg_end_session(Db *db, int64_t session_id, Error *err)
{
    return db_do(db, Q_PG_END, DB_ARGS(ARG_INT("session", session_id)), err);
}

bool
pg_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err)
{
    DbResult r;
    if (!db_ask(db, arena, Q_PG_BLOCKERS, DB_ARGS(ARG_INT("session", session_id)), &r, err))
        return false;
    StrBuf out = strbuf_new(arena, 64 * 1024);
    for (size_t i = 0; i < r.rows && i < 10; i++) {
        if (out.n)
            strbuf_addc(&out, '\n');
        strbuf_add(&out, DB_CELL(&r, i, 0));
    }
    *ret = strbuf_str(&out);
    return true;
}

bool
pg_victims(Db *db, int64_t session_id, int64_t *longest_ms, int64_t *count, Error *err)
{
    DbResult r;
    SCRATCH_ARENA(scratch);
    DbQuery query = PQserverVersion(pg_of(db)->conn) >= 140000 ? Q_PG_VICTIMS : Q_PG_VICTIMS_OLD;
    if (!db_ask(db, scratch, query, DB_ARGS(ARG_INT("session", session_id)), &r, err))
        return false;
    *longest_ms = number(DB_CELL(&r, 0, 0));
    *count = number(DB_CELL(&r, 0, 1));
    return true;
}
