/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a tool's own tables can say: marks of runs that died, locks that nobody holds any more,
 * histories that fork. Each with what clears it; nothing is written here.
 */

#include <string.h>

#include "tools/files.h"

#include "core/banned.h"

ToolTrouble *
tool_trouble(Arena *arena, ToolState *state, bool blocks)
{
    ToolTrouble *t = vec_push(arena, &state->troubles);
    *t = (ToolTrouble){.blocks = blocks};
    return t;
}

static char *
as_text(Arena *arena, Str s)
{
    return str_dup(arena, s.p ? s : STR("?"));
}

/* A table beside the version table, in its schema. */
static bool
beside(Arena *arena, Db *db, const ToolState *state, const char *name, ToolTable *ret, Error *err)
{
    return tool_table(arena, db, str_of(state->schema), name, ret, err);
}

#define TABLE(t) ARG_IDENT("table", str_of((t)->schema), str_of((t)->name))

/* ---- Alembic ---- */

static const ToolMigration *
item_of(const ToolFiles *files, const ToolIndex *index, const char *id)
{
    size_t at;
    return index_find(index, id, &at) ? &files->items.p[at] : NULL;
}

/* Is `id` among what comes before one of the other rows? Then Alembic refuses ("overlaps"). */
static bool
is_implied(const ToolFiles *files, const ToolIndex *index, const DbResult *rows, size_t self)
{
    SCRATCH_ARENA(scratch);
    bool *seen = arena_array(scratch, bool, files->items.n + 1);
    size_t *stack = arena_array(scratch, size_t, files->items.n + 1), depth = 0, at;
    char *id = str_dup(scratch, DB_CELL(rows, self, 0));
    for (size_t i = 0; i < rows->rows; i++) {
        char *other = str_dup(scratch, DB_CELL(rows, i, 0));
        if (i != self && other && id && strcmp(other, id) != 0 && index_find(index, other, &at) &&
            !seen[at]) {
            seen[at] = true;
            stack[depth++] = at;
        }
    }
    while (depth) {
        const ToolMigration *m = &files->items.p[stack[--depth]];
        for (size_t k = 0; k < m->after.n; k++) {
            if (strcmp(m->after.p[k], id) == 0)
                return true;
            if (index_find(index, m->after.p[k], &at) && !seen[at]) {
                seen[at] = true;
                stack[depth++] = at;
            }
        }
    }
    return false;
}

/* `upgrade head`, or Flask's `db upgrade`, which means the same; others name what they want. */
static bool
wants_one_head(const Project *project)
{
    bool ret = false;
    for (char **word = project->apply; word && *word; word++)
        ret |= strcmp(*word, "head") == 0 || (strcmp(*word, "upgrade") == 0 && !word[1]);
    return ret;
}

static char *
join(Arena *arena, const Words *words)
{
    StrBuf text = strbuf_new(arena, 1024);
    for (size_t i = 0; i < words->n; i++) {
        if (text.n + strlen(words->p[i]) > 900)
            break;
        strbuf_printf(&text, "%s%s", i ? ", " : "", words->p[i]);
    }
    return text.n ? text.p : str_dup(arena, STR(""));
}

bool
alembic_trouble(Arena *arena, Db *db, const Project *project, ToolState *state, Error *err)
{
    enum { ROWS_MAX = 100 };
    const ToolFiles *files = state->files;
    DbResult rows;
    if (files->known && files->heads.n > 1 && wants_one_head(project) && state->pending.n) {
        bool flask = project->tool == tool_row(TOOL_FLASK_MIGRATE);
        const char *program = flask ? "flask db" : "alembic";
        ToolTrouble *t = tool_trouble(arena, state, true);
        t->of_files = true;
        t->what = str_printf(arena,
                             "the migrations have %zu heads (%s), and `%s upgrade` fails where "
                             "there is more than one",
                             files->heads.n, join(arena, &files->heads), program);
        t->repair =
            str_printf(arena,
                       "Merge them with `%s merge heads` and commit what it makes, or apply "
                       "them all: --command '%s upgrade heads'",
                       program, program);
    }
    if (!files->known || !state->table_exists)
        return true;
    if (!db_ask(db, arena, Q_TOOL_ROWS,
                DB_ARGS(ARG_RAW("id", STR("version_num")), ARG_RAW("second", STR("null")),
                        ARG_RAW("at", STR("null")), ARG_RAW("order", STR("version_num")),
                        ARG_IDENT("table", str_of(state->schema), str_of(state->table)),
                        ARG_INT("limit", ROWS_MAX)),
                &rows, err))
        return false;
    SCRATCH_ARENA(scratch);
    ToolIndex index = index_new(scratch, files->items.n);
    for (size_t i = 0; i < files->items.n; i++)
        index_add(&index, files->items.p[i].id, i);
    index_sort(scratch, &index);
    for (size_t i = 0; rows.rows > 1 && i < rows.rows; i++) {
        char *id = as_text(arena, DB_CELL(&rows, i, 0));
        if (!item_of(files, &index, id) || !is_implied(files, &index, &rows, i))
            continue;
        ToolTrouble *t = tool_trouble(arena, state, true);
        t->id = id;
        t->what = str_printf(arena,
                             "the table '%s' names '%s' beside a revision that comes after it, and "
                             "Alembic refuses that",
                             state->table, id);
        t->repair = str_printf(arena, "Take the row '%s' out: the other one stands for it", id);
        t->sql = str_dup(
            arena,
            db_render(db, arena, Q_TOOL_ALEMBIC_REPAIR,
                      DB_ARGS(TABLE(&((ToolTable){.schema = state->schema, .name = state->table})),
                              ARG_TEXT("revision", str_of(id)))));
    }
    return true;
}

/* ---- Prisma ---- */

bool
prisma_trouble(Arena *arena, Db *db, const Project *project, ToolState *state, Error *err)
{
    (void)project;
    ToolTable table = {.schema = state->schema, .name = state->table};
    DbResult r;
    if (!db_ask(db, arena, Q_TOOL_PRISMA_UNFINISHED, DB_ARGS(TABLE(&table)), &r, err))
        return false;
    for (size_t i = 0; i < r.rows; i++) {
        char *name = as_text(arena, DB_CELL(&r, i, 1));
        ToolTrouble *t = tool_trouble(arena, state, true);
        t->id = name;
        t->what = str_printf(arena,
                             "the migration '%s' was begun and never finished, and Prisma applies "
                             "nothing more until that is settled (P3009)",
                             name);
        t->repair =
            str_printf(arena,
                       "Undo by hand what '%s' left in the database, if anything; then mark "
                       "it as rolled back, so that it is applied again",
                       name);
        t->sql =
            str_dup(arena, db_render(db, arena, Q_TOOL_PRISMA_REPAIR,
                                     DB_ARGS(TABLE(&table), ARG_TEXT("id", DB_CELL(&r, i, 0)))));
    }
    return true;
}

/* ---- rows that are locks ---- */

bool
knex_trouble(Arena *arena, Db *db, const Project *project, ToolState *state, Error *err)
{
    (void)project;
    ToolTable table;
    DbResult r;
    int64_t rows = 0, locked = 0;
    char *name = str_printf(arena, "%s_lock", state->table);
    if (!beside(arena, db, state, name, &table, err))
        return false;
    if (!table.found)
        return true;
    if (!db_ask(db, arena, Q_TOOL_KNEX_LOCK, DB_ARGS(TABLE(&table)), &r, err))
        return false;
    if (r.rows != 1 || !str_to_i64(DB_CELL(&r, 0, 0), &rows) ||
        !str_to_i64(DB_CELL(&r, 0, 1), &locked) || (rows <= 1 && locked == 0))
        return true;
    ToolTrouble *t = tool_trouble(arena, state, true);
    t->what = rows > 1
                  ? str_printf(arena,
                               "the table '%s' holds %lld rows instead of one, and Knex refuses to "
                               "run (two runs made it at the same time)",
                               name, (long long)rows)
                  : str_printf(arena,
                               "the table '%s' says that a run is going on (is_locked = 1), as one "
                               "that was killed leaves it",
                               name);
    t->repair = str_printf(arena, "Make it one row that is free, unless somebody runs Knex by hand "
                                  "at this moment");
    t->sql =
        str_dup(arena, db_render(db, arena, Q_TOOL_KNEX_REPAIR,
                                 DB_ARGS(TABLE(&table), ARG_INT("more", rows > 1 ? rows - 1 : 0))));
    return true;
}

bool
yoyo_trouble(Arena *arena, Db *db, const Project *project, ToolState *state, Error *err)
{
    (void)project;
    ToolTable table;
    DbResult r;
    if (!beside(arena, db, state, "yoyo_lock", &table, err))
        return false;
    if (!table.found)
        return true;
    if (!db_ask(db, arena, Q_TOOL_YOYO_LOCK, DB_ARGS(TABLE(&table)), &r, err))
        return false;
    if (r.rows == 0)
        return true;
    ToolTrouble *t = tool_trouble(arena, state, true);
    t->what = str_printf(arena,
                         "the table 'yoyo_lock' holds the lock of process %s since %s, as a run "
                         "that was killed leaves it",
                         as_text(arena, DB_CELL(&r, 0, 0)), as_text(arena, DB_CELL(&r, 0, 1)));
    t->repair = str_printf(arena, "Take the row out (`yoyo break-lock`), unless somebody runs yoyo "
                                  "by hand at this moment");
    t->sql = str_dup(arena, db_render(db, arena, Q_TOOL_YOYO_REPAIR, DB_ARGS(TABLE(&table))));
    return true;
}

bool
liquibase_trouble(Arena *arena, Db *db, const Project *project, ToolState *state, Error *err)
{
    (void)project;
    ToolTable table;
    DbResult r;
    /* In the case of the other one: capitals on MySQL. */
    bool capitals = state->table && state->table[0] == 'D';
    if (!beside(arena, db, state, capitals ? "DATABASECHANGELOGLOCK" : "databasechangeloglock",
                &table, err))
        return false;
    if (!table.found)
        return true;
    if (!db_ask(db, arena, Q_TOOL_LIQUIBASE_LOCK, DB_ARGS(TABLE(&table)), &r, err))
        return false;
    if (r.rows == 0)
        return true;
    ToolTrouble *t = tool_trouble(arena, state, true);
    t->what = str_printf(arena, "the table '%s' is locked by '%s' since %s", table.name,
                         as_text(arena, DB_CELL(&r, 0, 0)), as_text(arena, DB_CELL(&r, 0, 1)));
    t->repair = str_printf(arena, "Set it free (`liquibase release-locks`), unless somebody runs "
                                  "Liquibase by hand at this moment");
    t->sql = str_dup(arena, db_render(db, arena, Q_TOOL_LIQUIBASE_REPAIR, DB_ARGS(TABLE(&table))));
    return true;
}

/* ---- PostgreSQL ---- */

bool
index_trouble(Arena *arena, Db *db, Str schema, ToolState *state, Error *err)
{
    DbResult r;
    if (!db_has_query(db, Q_TOOL_INVALID_INDEXES))
        return true;
    if (!db_ask(db, arena, Q_TOOL_INVALID_INDEXES, DB_ARGS(ARG_TEXT("schema", schema)), &r, err))
        return false;
    for (size_t i = 0; i < r.rows; i++) {
        Str index = DB_CELL(&r, i, 1), table = DB_CELL(&r, i, 2);
        /* Names that REINDEX CONCURRENTLY gives. */
        bool again = str_find_str(index, STR("_ccnew")) < index.n ||
                     str_find_str(index, STR("_ccold")) < index.n;
        ToolTrouble *t = tool_trouble(arena, state, false);
        t->what = str_printf(arena,
                             "index '" STR_FMT "' of '" STR_FMT "' is invalid, left by %s "
                             "CONCURRENTLY that failed",
                             STR_ARG(index), STR_ARG(table), again ? "REINDEX" : "CREATE INDEX");
        t->repair = str_printf(arena, "Drop it (concurrently), and make it again");
        t->sql = str_dup(arena, db_render(db, arena, Q_TOOL_INDEX_REPAIR,
                                          DB_ARGS(ARG_IDENT("index", DB_CELL(&r, i, 0), index))));
    }
    return true;
}

const ToolTrouble *
tool_blocked(const ToolState *state)
{
    for (size_t i = 0; i < state->troubles.n; i++) {
        if (state->troubles.p[i].blocks)
            return &state->troubles.p[i];
    }
    return NULL;
}

char *
trouble_hint(Arena *arena, const ToolTrouble *trouble)
{
    return str_printf(arena, "%s%s.", trouble->repair,
                      trouble->sql ? "; `lockstep repair` does that" : "");
}

bool
tool_leaves_nothing(const Tool *tool, const Db *db)
{
    return (tool->flags & (TOOL_ATOMIC_EACH | TOOL_ATOMIC_ALL)) &&
           (db_caps(db) & DB_CAP_DDL_TRANSACTION);
}
