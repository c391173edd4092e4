/* SPDX-License-Identifier: Apache-2.0 */
/* The face of a connection: finds the driver by engine and passes on. What is the same for all
 * engines (rendering a named query before sending it, throwing results away) stands here. */

#include "db/driver.h"

#include <assert.h>

#include "core/banned.h"

bool
db_connect_start(Arena *arena, const DbUrl *url, const DbOptions *options, Db **ret, Error *err)
{
    if (!db_supports(url->engine, err))
        return false;
    Db *db = arena_make(arena, Db);
    db->driver = db_driver(url->engine);
    db->arena = arena;
    db->url = *url;
    db->options = *options;
    const char *name = options->application_name ? options->application_name : "lockstep";
    db->options.application_name = str_dup(arena, str_of(name));
    if (db->options.connect_timeout_ms <= 0)
        db->options.connect_timeout_ms = 10 * 1000;
    if (db->driver->connect_start && !db->driver->connect_start(db, err)) {
        db->driver->close(db);
        return false;
    }
    *ret = db;
    return true;
}

bool
db_connect_finish(Db *db, Error *err)
{
    return db->driver->connect_finish(db, err);
}

bool
db_connect(Arena *arena, const DbUrl *url, const DbOptions *options, Db **ret, Error *err)
{
    Db *db = NULL;
    if (!db_connect_start(arena, url, options, &db, err))
        return false;
    if (!db_connect_finish(db, err)) {
        db_close(db);
        return false;
    }
    *ret = db;
    return true;
}

void
db_close(Db *db)
{
    if (db)
        db->driver->close(db);
}

void
db_cleanup(Db **db)
{
    db_close(*db);
    *db = NULL;
}

bool
db_create_database(Arena *arena, const DbUrl *url, const DbOptions *options, Error *err)
{
    if (!db_supports(url->engine, err))
        return false;
    const DbDriver *driver = db_driver(url->engine);
    return !driver->create_database || driver->create_database(arena, url, options, err);
}

unsigned
db_caps(const Db *db)
{
    return db->driver->caps;
}

DbEngine
db_engine(const Db *db)
{
    return db->driver->engine;
}

const DbUrl *
db_url(const Db *db)
{
    return &db->url;
}

Wait *
db_wait(const Db *db)
{
    return db->options.wait;
}

bool
db_alive(const Db *db)
{
    return db->driver->alive(db);
}

bool
db_facts(Db *db, Arena *arena, DbFacts *ret, Error *err)
{
    return db->driver->facts(db, arena, ret, err);
}

bool
db_query(Db *db, Arena *arena, Str sql, DbResult *ret, Error *err)
{
    size_t done = 0;
    return db->driver->query(db, arena, sql, ret, &done, err);
}

bool
db_exec(Db *db, Str sql, Error *err)
{
    size_t done = 0;
    return db_script(db, sql, &done, err);
}

bool
db_exec_list(Db *db, Str sql, Error *err)
{
    while (sql.n) {
        size_t end = str_find_str(sql, STR(";\n"));
        Str one = str_trim(str_sub(sql, 0, end));
        if (one.n && !db_exec(db, one, err))
            return false;
        sql = str_sub(sql, end + 2 < sql.n ? end + 2 : sql.n, sql.n);
    }
    return true;
}

int64_t
db_changes(const Db *db)
{
    return db->changes;
}

bool
db_script(Db *db, Str sql, size_t *ret_done, Error *err)
{
    SCRATCH_ARENA(scratch);
    return db->driver->query(db, scratch, sql, NULL, ret_done, err);
}

bool
db_reset(Db *db, Error *err)
{
    return db->driver->reset(db, err);
}

bool
db_in_transaction(const Db *db)
{
    return db->driver->in_transaction(db);
}

bool
db_set_timeouts(Db *db, int64_t lock_timeout_ms, int64_t statement_timeout_ms, Error *err)
{
    return db->driver->set_timeouts(db, lock_timeout_ms, statement_timeout_ms, err);
}

bool
db_ask(Db *db, Arena *arena, DbQuery query, const DbArg *args, DbResult *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    return db_query(db, arena, db_render(db, scratch, query, args), ret, err);
}

bool
db_do(Db *db, DbQuery query, const DbArg *args, Error *err)
{
    SCRATCH_ARENA(scratch);
    return db_exec(db, db_render(db, scratch, query, args), err);
}

Str
db_quote_ident(const Db *db, Arena *arena, Str name)
{
    return db->driver->quote_ident(db, arena, name);
}

Str
db_quote_literal(const Db *db, Arena *arena, Str value)
{
    return value.p ? db->driver->quote_literal(db, arena, value) : STR("NULL");
}

Str
db_digest_expr(const Db *db, Arena *arena, const char *const *columns)
{
    return db->driver->digest_expr(db, arena, columns);
}

bool
db_pause(Db *db, int64_t ms, bool *ret_told, Error *err)
{
    *ret_told = false;
    return db->driver->pause ? db->driver->pause(db, ms, ret_told, err)
                             : wait_sleep(db->options.wait, ms, err);
}

bool
db_is_pooled(const Db *db, int64_t session_id)
{
    return db->driver->is_pooled && db->driver->is_pooled(db, session_id);
}

bool
db_cancel_session(Db *db, int64_t session_id, Error *err)
{
    assert(db->driver->cancel_session);
    return db->driver->cancel_session(db, session_id, err);
}

bool
db_end_session(Db *db, int64_t session_id, Error *err)
{
    assert(db->driver->end_session);
    return db->driver->end_session(db, session_id, err);
}

bool
db_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err)
{
    if (db->driver->blockers)
        return db->driver->blockers(db, arena, session_id, ret, err);
    *ret = STR("");
    return true;
}

bool
db_victims(Db *db, int64_t session_id, int64_t *ret_longest_ms, int64_t *ret_count, Error *err)
{
    if (db->driver->victims)
        return db->driver->victims(db, session_id, ret_longest_ms, ret_count, err);
    *ret_longest_ms = 0;
    *ret_count = 0;
    return true;
}
