/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tool's version table, read and compared with its files. Nothing is written, and a role that may
 * only read is enough. Two queries: what the table looks like, and its rows.
 */

#include <stdlib.h>
#include <string.h>

#include "tools/files.h"

#include "core/banned.h"

/* ---- the table ---- */

static ToolId
id_of(const Tool *tool)
{
    return (ToolId)(tool - tool_row((ToolId)0));
}

/* The table's own name without the schema in front of it, where it was configured as both. */
static const char *
table_name(const Db *db, const Project *project)
{
    const char *table = project->table ? project->table : project->tool->table;
    const char *dot = table ? strchr(table, '.') : NULL;
    /* Liquibase creates it in capitals, without quotes: MySQL keeps them, PostgreSQL does not. */
    if (id_of(project->tool) == TOOL_LIQUIBASE && table == project->tool->table &&
        db_engine(db) == DB_MYSQL)
        return "DATABASECHANGELOG";
    return dot && dot > table && dot[1] ? dot + 1 : table;
}

Str
tool_schema(const Db *db, const Project *project, Str schema)
{
    const Tool *tool = project->tool;
    const char *dot = project->table ? strchr(project->table, '.') : NULL;
    ToolId id = id_of(tool);
    /* Drizzle has one on PostgreSQL alone, whatever its configuration says; Sqitch has one
     * everywhere: on MySQL a database, on SQLite a file (tool_attach). */
    bool may = db_engine(db) == DB_POSTGRES || id == TOOL_SQITCH ||
               (db_engine(db) == DB_MYSQL && !tool->schema);
    if (!may)
        return db_engine(db) == DB_MYSQL ? schema : STR_ABSENT;
    if (project->schema)
        return str_of(project->schema);
    if (dot && dot > project->table && dot[1])
        return (Str){project->table, (size_t)(dot - project->table)};
    return tool->schema ? str_of(tool->schema) : schema;
}

bool
tool_table(Arena *arena, Db *db, Str schema, const char *name, ToolTable *ret, Error *err)
{
    DbResult r;
    ToolTable table = {0};
    if (!db_ask(db, arena, Q_TOOL_TABLE,
                DB_ARGS(ARG_TEXT("schema", schema), ARG_TEXT("table", str_of(name))), &r, err))
        return false;
    table.found = r.rows > 0;
    for (size_t i = 0; i < r.rows; i++) {
        table.schema = str_dup(arena, DB_CELL(&r, i, 0));
        table.name = str_dup(arena, DB_CELL(&r, i, 1));
        *vec_push(arena, &table.columns) =
            (ToolColumn){str_dup(arena, DB_CELL(&r, i, 2)), str_dup(arena, DB_CELL(&r, i, 3))};
    }
    *ret = table;
    return true;
}

/* As the database writes it: Liquibase's are in capitals on MySQL. */
static const ToolColumn *
column(const ToolTable *table, const char *name)
{
    for (size_t i = 0; name && i < table->columns.n; i++) {
        if (str_eq_nocase(str_of(table->columns.p[i].name), str_of(name)))
            return &table->columns.p[i];
    }
    return NULL;
}

static bool
has_shape(const Tool *tool, const ToolTable *table)
{
    if (!table->found || !column(table, tool->id_column))
        return false;
    for (size_t i = 0; i < TOOL_WORDS && tool->columns[i]; i++) {
        if (!column(table, tool->columns[i]))
            return false;
    }
    /* What golang-migrate and Ecto keep has a version too. */
    return id_of(tool) != TOOL_RAILS || table->columns.n == 1;
}

/* ---- its rows ---- */

static Str
quoted(Arena *arena, const Db *db, const ToolTable *table, const char *name)
{
    const ToolColumn *c = column(table, name);
    return c ? db_quote_ident(db, arena, str_of(c->name)) : STR("null");
}

/* When: by what the column can hold. What has no zone is UTC, but where it was written by now(). */
static Str
when(Arena *arena, const Db *db, const ToolTable *table, const Tool *tool)
{
    const ToolColumn *c = column(table, tool->at_column);
    ToolId id = id_of(tool);
    if (!c)
        return STR("null");
    Str kind = str_of(c->time);
    bool by_now = id == TOOL_NODE_PG_MIGRATE || id == TOOL_DB_MIGRATE;
    DbQuery query = str_eq(kind, STR("zoned"))    ? Q_TOOL_AT_ZONED
                    : str_eq(kind, STR("plain"))  ? (by_now ? Q_TOOL_AT_LOCAL : Q_TOOL_AT_PLAIN)
                    : str_eq(kind, STR("millis")) ? Q_TOOL_AT_MILLIS
                                                  : DB_QUERY_COUNT;
    if (query == DB_QUERY_COUNT)
        return STR("null");
    query = db_has_query(db, query) ? query : Q_TOOL_AT_PLAIN;
    return db_render(db, arena, query, DB_ARGS(ARG_IDENT("column", STR_ABSENT, str_of(c->name))));
}

typedef VEC(ToolRow) Rows;

/* Of `%project=name` in its plan. */
static Str
sqitch_project(Arena *arena, const Project *project)
{
    SCRATCH_ARENA(scratch);
    Error ignored = ERROR_INIT;
    Str text;
    if (!project_read(scratch, project, "sqitch.plan", &text, &ignored))
        return STR("");
    for (Str line; text.p && text_line(&text, &line);) {
        if (str_starts(line, STR("%project=")))
            return str_copy(arena, str_trim(str_sub(line, 9, line.n)));
    }
    return STR("");
}

static bool
read_rows(
    Arena *arena, Db *db, const Project *project, const ToolTable *table, Rows *ret, Error *err)
{
    const Tool *tool = project->tool;
    ToolId id = id_of(tool);
    /* Django's names are unique within an app only. */
    const char *second = id == TOOL_DJANGO ? "app" : tool->name_column;
    Str id_sql = quoted(arena, db, table, tool->id_column);
    Str at_sql = quoted(arena, db, table, tool->at_column);
    DbQuery query = id == TOOL_PRISMA   ? Q_TOOL_ROWS_PRISMA
                    : id == TOOL_SQITCH ? Q_TOOL_ROWS_SQITCH
                                        : Q_TOOL_ROWS;
    DbResult r;
    Rows rows = {0};
    if (!db_ask(db, arena, query,
                DB_ARGS(ARG_RAW("id", id_sql), ARG_RAW("second", quoted(arena, db, table, second)),
                        ARG_RAW("at", when(arena, db, table, tool)),
                        ARG_RAW("order", str_eq(at_sql, STR("null")) ? id_sql : at_sql),
                        ARG_IDENT("table", str_of(table->schema), str_of(table->name)),
                        ARG_TEXT("project", sqitch_project(arena, project)),
                        ARG_INT("limit", TOOL_ROWS_MAX + 1)),
                &r, err))
        return false;
    for (size_t i = 0; i < r.rows; i++) {
        char *name = str_dup(arena, DB_CELL(&r, i, 0)), *more = str_dup(arena, DB_CELL(&r, i, 1));
        if (!name)
            continue; /* no row of this tool */
        ToolRow row = {name, more, str_dup(arena, DB_CELL(&r, i, 2))};
        if (id == TOOL_DJANGO)
            row =
                (ToolRow){str_printf(arena, "%s.%s", more ? more : "", name), name, row.applied_at};
        if (id == TOOL_POSTGRATOR && strcmp(name, "0") == 0)
            continue; /* its own first row */
        *vec_push(arena, &rows) = row;
    }
    *ret = rows;
    return true;
}

/* ---- comparing by name ---- */

static const char *const ENDINGS[] = {".js",  ".cjs", ".mjs",  ".ts", ".cts", ".mts", ".coffee",
                                      ".sql", ".rb",  ".iced", ".eg", ".ls",  NULL};

/* What two spellings of one migration have in common. */
static char *
key_of(Arena *arena, const Tool *tool, const char *id)
{
    Str key = str_of(id);
    ToolId which = id_of(tool);
    if (which == TOOL_DB_MIGRATE && str_starts(key, STR("/")))
        key = str_sub(key, 1, key.n);
    if (which == TOOL_RAILS || which == TOOL_ECTO || which == TOOL_POSTGRATOR)
        while (key.n > 1 && key.p[0] == '0')
            key = str_sub(key, 1, key.n);
    bool endings = which == TOOL_KNEX || which == TOOL_SEQUELIZE || which == TOOL_LEY ||
                   which == TOOL_DB_MIGRATE;
    for (size_t i = 0; endings && ENDINGS[i]; i++) {
        if (key.n > strlen(ENDINGS[i]) && str_ends(key, str_of(ENDINGS[i]))) {
            key.n -= strlen(ENDINGS[i]);
            break;
        }
    }
    return str_dup(arena, key);
}

static Str
app_of(const char *id)
{
    return str_sub(str_of(id), 0, str_find(str_of(id), '.'));
}

typedef struct Compare {
    Arena *arena;
    const Tool *tool;
    const ToolFiles *files;
    ToolState *state;
    const ToolRow **rows; /* by item; NULL = no row */
    bool *done;           /* by item: applied, or needs no applying */
    ToolIndex index;
    ToolIndex replaced; /* Django: ids that squashed migrations stand for */
} Compare;

static Compare
compare_new(Arena *arena, const Project *project, const ToolFiles *files, ToolState *state)
{
    size_t n = files->items.n, replaced = 0;
    Compare c = {.arena = arena,
                 .tool = project->tool,
                 .files = files,
                 .state = state,
                 .rows = arena_array(arena, const ToolRow *, n + 1),
                 .done = arena_array(arena, bool, n + 1),
                 .index = index_new(arena, n)};
    for (size_t i = 0; i < n; i++) {
        index_add(&c.index, key_of(arena, c.tool, files->items.p[i].id), i);
        replaced += files->items.p[i].replaced.n;
    }
    index_sort(arena, &c.index);
    c.replaced = index_new(arena, replaced);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < files->items.p[i].replaced.n; k++)
            index_add(&c.replaced, files->items.p[i].replaced.p[k], i);
    }
    index_sort(arena, &c.replaced);
    return c;
}

static ToolRow
row_of_item(const ToolMigration *m, const ToolRow *row)
{
    return (ToolRow){m->version, m->name, row ? row->applied_at : NULL};
}

/* Sqitch's changes have names without an order: a newer image's were deployed last. */
static bool
is_latest(const Compare *c, const ToolRow *row)
{
    for (size_t i = 0; i < c->files->items.n; i++) {
        const ToolRow *known = c->rows[i];
        if (known && known->applied_at && row->applied_at &&
            strcmp(known->applied_at, row->applied_at) > 0)
            return false;
    }
    return true;
}

/* Rows without a file: above all files (the database is of a newer image) or in between. Django
 * keeps rows of apps that are no longer there; they say nothing. */
static void
place_stranger(Compare *c, const ToolRow *row)
{
    const char *highest = NULL;
    bool by_time = id_of(c->tool) == TOOL_SQITCH;
    bool django = id_of(c->tool) == TOOL_DJANGO;
    for (size_t i = 0; i < c->files->items.n; i++) {
        const char *id = c->files->items.p[i].id;
        if (django && !str_eq(app_of(id), app_of(row->id)))
            continue;
        if (!highest || files_compare(id, highest) > 0)
            highest = id;
    }
    if (django && !highest)
        *vec_push(c->arena, &c->state->applied) = *row;
    else if (by_time ? is_latest(c, row) : !highest || files_compare(row->id, highest) > 0)
        *vec_push(c->arena, &c->state->ahead) = *row;
    else
        *vec_push(c->arena, &c->state->missing) = *row;
}

/* Django's rule: all that a squashed migration replaces is applied = it is; nothing of it = it
 * stands for all; a part = it does not count, and the rest is pending. */
static void
settle_squashed(Compare *c, const ToolIndex *rows)
{
    for (size_t i = 0; i < c->files->items.n; i++) {
        const ToolMigration *m = &c->files->items.p[i];
        size_t there = 0, at;
        if (!m->replaced.n)
            continue;
        for (size_t k = 0; k < m->replaced.n; k++)
            there += index_find(rows, m->replaced.p[k], &at);
        c->done[i] = there > 0;
        for (size_t k = 0; k < m->replaced.n && there == 0; k++) {
            if (index_find(&c->index, m->replaced.p[k], &at))
                c->done[at] = true; /* out of Django's graph */
        }
    }
}

static void
compare_by_name(Compare *c, const Rows *rows)
{
    ToolIndex have = index_new(c->arena, rows->n);
    VEC(const ToolRow *) strangers = {0};
    for (size_t i = 0; i < rows->n; i++) {
        const ToolRow *row = &rows->p[i];
        size_t at;
        index_add(&have, row->id, i);
        if (index_find(&c->index, key_of(c->arena, c->tool, row->id), &at)) {
            c->rows[at] = c->rows[at] ? c->rows[at] : row;
            c->done[at] = true;
        } else {
            *vec_push(c->arena, &strangers) = row;
        }
    }
    index_sort(c->arena, &have);
    settle_squashed(c, &have);
    for (size_t i = 0; i < c->files->items.n; i++) {
        const ToolMigration *m = &c->files->items.p[i];
        if (c->rows[i])
            *vec_push(c->arena, &c->state->applied) = row_of_item(m, c->rows[i]);
        if (!c->done[i])
            *vec_push(c->arena, &c->state->pending) = m;
    }
    for (size_t i = 0; i < strangers.n; i++) {
        size_t at;
        if (index_find(&c->replaced, strangers.p[i]->id, &at))
            *vec_push(c->arena, &c->state->applied) = *strangers.p[i];
        else
            place_stranger(c, strangers.p[i]);
    }
}

/* ---- Alembic: rows are heads, and stand for all that comes before them ---- */

static void
mark_ancestors(Compare *c, size_t from)
{
    size_t *stack = arena_array(c->arena, size_t, c->files->items.n + 1), depth = 0;
    if (!c->done[from]) {
        c->done[from] = true;
        stack[depth++] = from;
    }
    while (depth) {
        const ToolMigration *m = &c->files->items.p[stack[--depth]];
        for (size_t k = 0; k < m->after.n; k++) {
            size_t at;
            if (index_find(&c->index, m->after.p[k], &at) && !c->done[at]) {
                c->done[at] = true;
                stack[depth++] = at;
            }
        }
    }
}

static void
compare_by_ancestry(Compare *c, const Rows *rows)
{
    ToolState *state = c->state;
    for (size_t i = 0; i < rows->n; i++) {
        size_t at;
        if (index_find(&c->index, rows->p[i].id, &at))
            mark_ancestors(c, at);
        else
            *vec_push(c->arena, &state->ahead) = rows->p[i];
    }
    for (size_t i = 0; i < c->files->items.n; i++) {
        const ToolMigration *m = &c->files->items.p[i];
        /* A revision that the files do not know stands for more than can be seen: an image that is
         * older than its database has nothing to apply, and Alembic would refuse to. */
        if (c->done[i] || state->ahead.n)
            *vec_push(c->arena, &state->applied) = row_of_item(m, NULL);
        else
            *vec_push(c->arena, &state->pending) = m;
    }
}

/* ---- Drizzle: what is newer than the newest row is pending, the rest is not looked at ---- */

static void
compare_by_time(Compare *c, const Rows *rows)
{
    int64_t newest = INT64_MIN, time, last = INT64_MIN;
    for (size_t i = 0; i < rows->n; i++) {
        Str id = str_of(rows->p[i].id);
        size_t at;
        if (str_to_i64(str_sub(id, 0, str_find(id, '.')), &time) && time > newest)
            newest = time;
        if (index_find(&c->index, rows->p[i].id, &at))
            c->rows[at] = &rows->p[i];
    }
    for (size_t i = 0; i < c->files->items.n; i++) {
        const ToolMigration *m = &c->files->items.p[i];
        if (!str_to_i64(str_of(m->id), &time))
            continue;
        last = time > last ? time : last;
        if (time > newest) {
            *vec_push(c->arena, &c->state->pending) = m;
        } else if (c->rows[i]) {
            *vec_push(c->arena, &c->state->applied) = row_of_item(m, c->rows[i]);
        } else {
            ToolTrouble *t = tool_trouble(c->arena, c->state, false);
            t->id = m->version;
            t->what = str_printf(c->arena,
                                 "drizzle will never apply '%s': it is dated before "
                                 "the newest one that is applied",
                                 m->version);
            t->repair = str_printf(c->arena, "Make the migration anew, so that its `when` in the "
                                             "journal is the newest");
        }
    }
    for (size_t i = 0; i < rows->n; i++) {
        size_t at;
        if (index_find(&c->index, rows->p[i].id, &at))
            continue;
        bool above = str_to_i64(str_of(rows->p[i].id), &time) && time > last;
        if (above)
            *vec_push(c->arena, &c->state->ahead) = rows->p[i];
        else
            *vec_push(c->arena, &c->state->missing) = rows->p[i];
    }
}

/* ---- all of it ---- */

static void
compare(Arena *arena, const Project *project, const Rows *rows, ToolState *state)
{
    Compare c = compare_new(arena, project, state->files, state);
    ToolId id = id_of(project->tool);
    if (!state->files->known)
        for (size_t i = 0; i < rows->n; i++)
            *vec_push(arena, &state->applied) = rows->p[i];
    else if (id == TOOL_ALEMBIC || id == TOOL_FLASK_MIGRATE)
        compare_by_ancestry(&c, rows);
    else if (id == TOOL_DRIZZLE)
        compare_by_time(&c, rows);
    else
        compare_by_name(&c, rows);
}

/* A table of that name which another tool made: `migrations` is that of five. */
static void
tell_other_shape(Arena *arena, const Project *project, const char *table, ToolState *state)
{
    ToolTrouble *t = tool_trouble(arena, state, false);
    state->known = false;
    t->what = str_printf(arena, "the table '%s' is there, but not as %s makes it", table,
                         project->tool->title);
    t->repair = str_printf(arena, "Give %s a table of another name, or look at whose this one is",
                           project->tool->title);
}

bool
tool_state(Arena *arena,
           Db *db,
           const Project *project,
           const ToolFiles *files,
           Str schema,
           ToolState *ret,
           Error *err)
{
    const Tool *tool = project->tool;
    ToolState state = {.known = files->known, .files = files};
    ToolTable table = {0};
    Rows rows = {0};
    Str where = tool_schema(db, project, schema);
    if (!tool->table || !tool->id_column) {
        *ret = (ToolState){.files = files};
        return true;
    }
    if (!tool_attach(arena, db, project, err) ||
        !tool_table(arena, db, where, table_name(db, project), &table, err))
        return false;
    state.table_exists = has_shape(tool, &table);
    if (state.table_exists) {
        state.schema = table.schema;
        state.table = table.name;
        if (!read_rows(arena, db, project, &table, &rows, err))
            return false;
    } else if (table.found) {
        tell_other_shape(arena, project, table.name, &state);
    }
    if (rows.n > TOOL_ROWS_MAX)
        state.known = false;
    else
        compare(arena, project, &rows, &state);
    bool looks = state.table_exists || tool->trouble == alembic_trouble;
    if (tool->trouble && looks && !tool->trouble(arena, db, project, &state, err))
        return false;
    if (!index_trouble(arena, db, schema, &state, err))
        return false;
    *ret = state;
    return true;
}

/* ---- the fast path ---- */

Str
tool_digest_sql(Arena *arena, Db *db, const Project *project, Str schema)
{
    const Tool *tool = project->tool;
    const char *named[TOOL_WORDS + 2] = {0};
    size_t n = 0;
    StrBuf columns = strbuf_new(arena, 4096);
    if (!tool->table || !tool->id_column) /* nothing to look at: the query fails, which is doubt */
        return STR("select null from lockstep_has_no_table_of_this_tool");
    for (size_t i = 0; i <= TOOL_WORDS; i++) {
        const char *name = i < TOOL_WORDS ? tool->columns[i] : tool->id_column;
        bool seen = !name || (tool->at_column && strcmp(name, tool->at_column) == 0 &&
                              strcmp(name, tool->id_column) != 0);
        for (size_t k = 0; k < i && !seen; k++)
            seen = tool->columns[k] && strcmp(tool->columns[k], name) == 0;
        if (seen)
            continue;
        /* Under names that need no quotes: the expression of a driver may not quote them. */
        named[n] = str_printf(arena, "c%zu", n);
        strbuf_printf(&columns, "%s", n ? ", " : "");
        strbuf_add(&columns, db_quote_ident(db, arena, str_of(name)));
        strbuf_printf(&columns, " as %s", named[n++]);
    }
    return db_render(db, arena, Q_TOOL_DIGEST,
                     DB_ARGS(ARG_RAW("expression", db_digest_expr(db, arena, named)),
                             ARG_RAW("columns", strbuf_str(&columns)),
                             ARG_IDENT("table", tool_schema(db, project, schema),
                                       str_of(table_name(db, project)))));
}
