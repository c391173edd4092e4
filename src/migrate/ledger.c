/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at version tables: which are there, whose they are, what they hold; and making the ones
 * that are missing. Two tables are read as one list: the tool's own rows say what is applied,
 * lockstep_migrations adds what it knows about each, as long as it speaks of the same row.
 */

#include "migrate/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/formats.h"
#include "migrate/ledgers.h"

#include "core/banned.h"

#define OWN_TABLE "lockstep_migrations"

/* ---- rendering ---- */

Str
ledger_render(Arena *arena, Db *db, const Ledger *ledger, DbQuery query, const DbArg *extra)
{
    enum { BASE = 6, MAX = 40 };
    char *base = str_printf(arena, STR_FMT, STR_ARG(ledger->table));
    /* SQLite wants the schema before the index, others the table's. */
    Str index_schema = db_caps(db) & DB_CAP_SERVER ? STR_ABSENT : ledger->table_schema;
    const char *index = ledger->spec.format == FORMAT_GOLANG_MIGRATE
                            ? "version_unique"
                            : str_printf(arena, "%s_s_idx", base);
    DbArg args[MAX] = {
        ARG_IDENT("table", ledger->table_schema, ledger->table),
        ARG_IDENT("bare", STR_ABSENT, ledger->table),
        ARG_IDENT("in_schema", STR_ABSENT, ledger->table_schema),
        ARG_IDENT("own", ledger->own_schema, ledger->own_table),
        ARG_IDENT("index", index_schema, str_of(index)),
        ARG_IDENT("primary_key", STR_ABSENT, str_of(str_printf(arena, "%s_pk", base))),
    };
    size_t n = BASE;
    for (; extra && extra->kind != DB_ARG_END && n + 1 < MAX; extra++)
        args[n++] = *extra;
    args[n].kind = DB_ARG_END;
    return db_render(db, arena, query, args);
}

/* ---- open ---- */

static bool
refuse_shape(const Ledger *ledger, Str columns, bool rails, Error *err)
{
    const char *owner = ledger_owner(columns, rails);
    Str what = owner ? str_of(owner) : columns;
    error_set(err, ERROR_REFUSED,
              "the table '" STR_FMT "." STR_FMT "' is not %s's version table: it %s " STR_FMT,
              STR_ARG(ledger->table_schema), STR_ARG(ledger->table),
              format_name(ledger->spec.format), owner ? "looks like that of" : "has the columns",
              STR_ARG(what));
    return error_hint(err, "Name the format with --format, or another table with --table.");
}

typedef struct Seen {
    Str version, own; /* columns; absent = no such table */
    bool runs, rails;
} Seen;

static bool
look(Arena *arena, Db *db, const Ledger *ledger, Seen *ret, Error *err)
{
    DbResult r;
    const DbArg *args =
        DB_ARGS(ARG_TEXT("table_schema", ledger->table_schema),
                ARG_TEXT("table_name", ledger->table), ARG_TEXT("own_schema", ledger->own_schema),
                ARG_TEXT("own_name", ledger->own_table), ARG_TEXT("schema", ledger->spec.schema));
    if (!db_ask(db, arena, Q_LEDGER_OPEN, args, &r, err))
        return error_wrap(err, "cannot look for the version table");
    for (size_t i = 0; i < r.rows; i++) {
        Str role = DB_CELL(&r, i, 0), columns = DB_CELL(&r, i, 1);
        columns = columns.p ? columns : STR("");
        if (str_eq(role, STR("version")))
            ret->version = columns;
        else if (str_eq(role, STR("own")))
            ret->own = columns;
        ret->runs |= str_eq(role, STR("runs"));
        ret->rails |= str_eq(role, STR("rails"));
    }
    return true;
}

static bool
check_engine(Db *db, const LedgerSpec *spec, Error *err)
{
    const LedgerTool *tool = ledger_tool(spec->format);
    if (tool->read == NO_QUERY || db_has_query(db, tool->read))
        return true;
    error_set(err, ERROR_USAGE, "%s does not work with %s", format_name(spec->format),
              db_engine_name(db_engine(db)));
    return error_hint(err, "Check --format and --url.");
}

static bool
check_schema(Db *db, const LedgerSpec *spec, Error *err)
{
    if (spec->schema.p || !(db_caps(db) & DB_CAP_SERVER))
        return true;
    error_set(err, ERROR_USAGE, "the connection has no schema to work in");
    return error_hint(err, "Name one with --schema, or put one that exists into search_path (a "
                           "database's name into the URL, for MySQL).");
}

bool
ledger_open(Arena *arena, Db *db, const LedgerSpec *spec, Ledger *ret, Error *err)
{
    const LedgerTool *tool = ledger_tool(spec->format);
    Ledger ledger = {.spec = *spec, .high_water = tool->high_water};
    Seen seen = {0};
    if (!check_engine(db, spec, err) || !check_schema(db, spec, err))
        return false;
    if (!spec->schema.p)
        ledger.spec.schema = STR("main");
    ledger_resolve(arena, db, spec->format, ledger.spec.schema, spec->table, &ledger.table_schema,
                   &ledger.table);
    bool plain = spec->format == FORMAT_PLAIN;
    ledger.own_schema = plain ? ledger.table_schema : ledger.spec.schema;
    ledger.own_table = plain ? ledger.table : STR(OWN_TABLE);
    if (!look(arena, db, &ledger, &seen, err))
        return false;
    if (seen.version.p && (!ledger_has_columns(seen.version, tool->columns, tool->exact) ||
                           (spec->format == FORMAT_DBMATE && seen.rails)))
        return refuse_shape(&ledger, seen.version, seen.rails, err);
    if (seen.own.p && !ledger_has_columns(seen.own, ledger_tool(FORMAT_PLAIN)->columns, false)) {
        error_set(err, ERROR_REFUSED, "the table '" STR_FMT "." STR_FMT "' is not lockstep's",
                  STR_ARG(ledger.own_schema), STR_ARG(ledger.own_table));
        return error_hint(err, "Rename it, or give lockstep a schema of its own with --schema.");
    }
    ledger.table_exists = seen.version.p != NULL;
    ledger.own_exists = seen.own.p != NULL;
    ledger.runs_exists = seen.runs;
    if (db_caps(db) & DB_CAP_SESSION_LOCK)
        ledger_tool_locks(arena, &ledger);
    *ret = ledger;
    return true;
}

bool
ledger_probe(Arena *arena, Db *db, Str schema, bool *ret_tern, bool *ret_sqlx, Error *err)
{
    DbResult r;
    bool tern = false, sqlx = false;
    if (!db_ask(db, arena, Q_LEDGER_PROBE, DB_ARGS(ARG_TEXT("schema", schema)), &r, err))
        return error_wrap(err, "cannot look for version tables");
    for (size_t i = 0; i < r.rows; i++) {
        Str role = DB_CELL(&r, i, 0), columns = DB_CELL(&r, i, 1);
        FormatId format = str_eq(role, STR("tern")) ? FORMAT_TERN : FORMAT_SQLX;
        const LedgerTool *tool = ledger_tool(format);
        if (!columns.p || !ledger_has_columns(columns, tool->columns, tool->exact))
            continue;
        tern |= format == FORMAT_TERN;
        sqlx |= format == FORMAT_SQLX;
    }
    *ret_tern = tern;
    *ret_sqlx = sqlx;
    return true;
}

/* ---- read ---- */

typedef struct Raw {
    LedgerRow row;
    Str origin;
    size_t seq;    /* later rows of a version decide */
    bool reverted; /* takes the version back */
} Raw;
typedef VEC(Raw) RawRows;

static int64_t
number_or(Str text, int64_t other)
{
    int64_t n;
    return text.p && str_to_i64(text, &n) ? n : other;
}

/* Flyway's type with + or - for success. False: not about a version. */
static bool
flyway_kind(Arena *arena, Ledger *ledger, Str kind, Raw *raw)
{
    if (str_starts(kind, STR("SCHEMA")))
        return false;
    bool success = str_ends(kind, STR("+"));
    if (str_find_str(kind, STR("BASELINE")) < kind.n) {
        char *version = raw->row.version;
        if (version && (!ledger->baseline ||
                        strcmp(format_version_id(arena, FORMAT_FLYWAY, version),
                               format_version_id(arena, FORMAT_FLYWAY, ledger->baseline)) > 0))
            ledger->baseline = version;
        return false;
    }
    raw->row.state = success ? ROW_APPLIED : ROW_FAILED;
    raw->reverted = success && (str_starts(kind, STR("UNDO")) || str_starts(kind, STR("DELETE")));
    return true;
}

static bool
foreign_row(Arena *arena, Ledger *ledger, const DbResult *r, size_t i, Raw *ret)
{
    FormatId format = ledger->spec.format;
    Str version = DB_CELL(r, i, 0), name = DB_CELL(r, i, 1), kind = DB_CELL(r, i, 3);
    Raw raw = {.seq = i, .origin = DB_CELL(r, i, 7)};
    raw.row = (LedgerRow){.version = str_dup(arena, version),
                          .name = str_dup(arena, name.p ? name : STR("")),
                          .script = str_dup(arena, DB_CELL(r, i, 2)),
                          .state = str_eq(kind, STR("failed")) ? ROW_FAILED : ROW_APPLIED,
                          .tool_checksum = str_dup(arena, DB_CELL(r, i, 4)),
                          .applied_at = str_dup(arena, DB_CELL(r, i, 5)),
                          .duration_ms = number_or(DB_CELL(r, i, 6), -1),
                          .foreign_row = true};
    raw.reverted = str_eq(kind, STR("reverted"));
    if (format == FORMAT_GOOSE && str_eq(version, STR("0")))
        return false;
    if (format == FORMAT_FLYWAY && !flyway_kind(arena, ledger, kind, &raw))
        return false;
    raw.row.id = raw.row.version ? format_version_id(arena, format, raw.row.version)
                                 : format_repeatable_id(arena, raw.row.name);
    if (format == FORMAT_PRISMA)
        raw.row.version = format_shown_version(arena, format, version);
    *ret = raw;
    return true;
}

static int
raw_cmp(const void *a, const void *b)
{
    const Raw *x = a, *y = b;
    int cmp = strcmp(x->row.id, y->row.id);
    return cmp ? cmp : (x->seq > y->seq) - (x->seq < y->seq);
}

/* Sorted by id, one row a version: the latest decides. */
static void
settle(RawRows *rows)
{
    size_t out = 0;
    if (rows->n > 1)
        qsort(rows->p, rows->n, sizeof(*rows->p), raw_cmp);
    for (size_t i = 0; i < rows->n; i++) {
        bool last = i + 1 == rows->n || strcmp(rows->p[i].row.id, rows->p[i + 1].row.id) != 0;
        if (last && !rows->p[i].reverted)
            rows->p[out++] = rows->p[i];
    }
    rows->n = out;
}

static bool
read_foreign(Arena *arena, Arena *scratch, Db *db, Ledger *ledger, RawRows *ret, Error *err)
{
    const LedgerTool *tool = ledger_tool(ledger->spec.format);
    DbResult r;
    if (tool->read == NO_QUERY || !ledger->table_exists)
        return true;
    Str sql = ledger_render(scratch, db, ledger, tool->read, NULL);
    if (!db_query(db, scratch, sql, &r, err))
        return error_wrap(err, "cannot read the version table");
    for (size_t i = 0; i < r.rows; i++) {
        Raw raw;
        if (foreign_row(arena, ledger, &r, i, &raw))
            *vec_push(scratch, ret) = raw;
    }
    settle(ret);
    return true;
}

/* The tool's highest version becomes `current`; 0 (tern) and -1 (golang-migrate) are none. */
static void
note_current(Ledger *ledger, RawRows *rows)
{
    if (!ledger->high_water || rows->n == 0)
        return;
    LedgerRow *row = &rows->p[0].row;
    bool none = ledger->spec.format == FORMAT_TERN ? strcmp(row->version, "0") == 0
                                                   : strcmp(row->version, "-1") == 0;
    ledger->current_dirty = row->state == ROW_FAILED;
    if (none && !ledger->current_dirty)
        rows->n = 0;
    else if (!none)
        ledger->current = row->version;
}

static RowState
own_state(Str text)
{
    if (str_eq(text, STR("running")))
        return ROW_RUNNING;
    return str_eq(text, STR("failed")) ? ROW_FAILED : ROW_APPLIED;
}

static LedgerRow
own_row(Arena *arena, const Ledger *ledger, const DbResult *r, size_t i)
{
    Str version = DB_CELL(r, i, 0), name = DB_CELL(r, i, 1), run_id = DB_CELL(r, i, 7);
    bool repeatable = ledger->spec.format == FORMAT_FLYWAY && str_starts(version, STR("R__"));
    LedgerRow row = {.version = repeatable ? NULL : str_dup(arena, version),
                     .name = str_dup(arena, name.p ? name : STR("")),
                     .checksum = str_dup(arena, DB_CELL(r, i, 2)),
                     .state = own_state(DB_CELL(r, i, 3)),
                     .statements_done = (int)number_or(DB_CELL(r, i, 4), 0),
                     .applied_at = str_dup(arena, DB_CELL(r, i, 5)),
                     .duration_ms = number_or(DB_CELL(r, i, 6), -1),
                     .run_id = str_dup(arena, run_id),
                     .doubt = str_dup(arena, DB_CELL(r, i, 9)),
                     .own_row = true};
    row.id = row.version ? format_version_id(arena, ledger->spec.format, row.version)
                         : format_repeatable_id(arena, row.name);
    if (ledger->spec.format == FORMAT_PRISMA)
        row.version = format_shown_version(arena, FORMAT_PRISMA, version);
    return row;
}

/* What our row knows about the tool's row that it was written for. */
static void
join_rows(LedgerRow *row, const LedgerRow *own)
{
    /* The tool has run it after us: what we had under way it has finished, what we had applied
     * has failed with it. */
    if ((row->state == ROW_APPLIED) != (own->state == ROW_APPLIED))
        return;
    row->own_row = true;
    row->state = own->state == ROW_APPLIED ? row->state : own->state;
    row->checksum = own->checksum;
    row->duration_ms = own->duration_ms >= 0 ? own->duration_ms : row->duration_ms;
    row->applied_at = row->applied_at ? row->applied_at : own->applied_at;
    row->statements_done = own->statements_done;
    row->doubt = own->doubt;
    row->run_id = own->run_id;
    row->name = row->name[0] ? row->name : own->name;
}

static LedgerRow *
find_row(const Ledger *ledger, size_t n, const char *id)
{
    size_t from = 0;
    while (from < n) {
        size_t mid = from + (n - from) / 2;
        int cmp = strcmp(ledger->rows.p[mid].id, id);
        if (cmp == 0)
            return &ledger->rows.p[mid];
        if (cmp < 0)
            from = mid + 1;
        else
            n = mid;
    }
    return NULL;
}

/* A row of ours without one of the tool's: under way, or below golang-migrate's mark. */
static bool
stands_alone(const Ledger *ledger, const LedgerRow *own, const char *current_id)
{
    if (ledger->spec.format == FORMAT_PLAIN || own->state != ROW_APPLIED)
        return true;
    return current_id && strcmp(own->id, current_id) <= 0;
}

static int
row_cmp(const void *a, const void *b)
{
    const LedgerRow *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static void
merge_own(Arena *arena, Ledger *ledger, const RawRows *foreign, const DbResult *r)
{
    const char *prefix = ledger_origin_prefix(arena, ledger->spec.format);
    const char *current_id =
        ledger->current ? format_version_id(arena, ledger->spec.format, ledger->current) : NULL;
    size_t n = ledger->rows.n;
    for (size_t i = 0; i < r->rows; i++) {
        Str origin = DB_CELL(r, i, 8);
        /* Rows of another format in the same schema are none of ours. */
        if (prefix ? !str_starts(origin, str_of(prefix)) : origin.n > 0)
            continue;
        LedgerRow own = own_row(arena, ledger, r, i);
        LedgerRow *row = find_row(ledger, n, own.id);
        Str identity = str_sub(origin, strlen(prefix ? prefix : ""), origin.n);
        /* `prisma migrate resolve --rolled-back`: of what ours had begun nothing is left. */
        bool taken_back = ledger->spec.format == FORMAT_PRISMA && identity.n > 0;
        if (row) {
            if (str_eq(identity, foreign->p[row - ledger->rows.p].origin))
                join_rows(row, &own);
        } else if (!taken_back && stands_alone(ledger, &own, current_id)) {
            own.foreign_row = ledger->spec.format == FORMAT_PLAIN;
            *vec_push(arena, &ledger->rows) = own;
        }
    }
    if (ledger->rows.n > 1)
        qsort(ledger->rows.p, ledger->rows.n, sizeof(*ledger->rows.p), row_cmp);
}

bool
ledger_read(Arena *arena, Db *db, Ledger *ledger, Error *err)
{
    SCRATCH_ARENA(scratch);
    RawRows foreign = {0};
    Ledger next = *ledger;
    DbResult r = {0};
    next.rows.n = 0;
    next.rows.p = NULL;
    next.rows.size = 0;
    next.current = next.baseline = NULL;
    next.current_dirty = false;
    if (!read_foreign(arena, scratch, db, &next, &foreign, err))
        return false;
    if (next.own_exists) {
        Str sql = ledger_render(scratch, db, &next, Q_LEDGER_OWN_READ, NULL);
        if (!db_query(db, scratch, sql, &r, err))
            return error_wrap(err, "cannot read lockstep's table of migrations");
    }
    note_current(&next, &foreign);
    for (size_t i = 0; i < foreign.n; i++)
        *vec_push(arena, &next.rows) = foreign.p[i].row;
    merge_own(arena, &next, &foreign, &r);
    *ledger = next;
    return true;
}

/* ---- create, digest ---- */

static bool
make(Arena *arena, Db *db, const Ledger *ledger, DbQuery query, Error *err)
{
    if (query == NO_QUERY || !db_has_query(db, query))
        return true;
    return db_exec(db, ledger_render(arena, db, ledger, query, NULL), err);
}

bool
ledger_create(Arena *arena, Db *db, Ledger *ledger, Error *err)
{
    const LedgerTool *tool = ledger_tool(ledger->spec.format);
    bool plain = ledger->spec.format == FORMAT_PLAIN;
    if (!plain && !ledger->table_exists &&
        (!make(arena, db, ledger, tool->in_schema, err) ||
         !make(arena, db, ledger, tool->create, err) || !make(arena, db, ledger, tool->seed, err)))
        return error_wrap(err, "cannot make the version table '" STR_FMT "." STR_FMT "'",
                          STR_ARG(ledger->table_schema), STR_ARG(ledger->table));
    ledger->table_exists = ledger->table_exists || !plain;
    if (plain && !ledger->own_exists && !ledger->spec.own_allowed) {
        error_set(err, ERROR_FAILED,
                  "the table '" STR_FMT "' is missing, and this role may not "
                  "create it",
                  STR_ARG(ledger->table));
        return error_hint(err,
                          "Grant CREATE on the schema '" STR_FMT "', or choose another one "
                          "with --schema.",
                          STR_ARG(ledger->table_schema));
    }
    if (ledger->own_exists || !ledger->spec.own_allowed)
        return true;
    if (!make(arena, db, ledger, Q_LEDGER_OWN_CREATE, err))
        return error_wrap(err, "cannot make the table '" STR_FMT "." STR_FMT "'",
                          STR_ARG(ledger->own_schema), STR_ARG(ledger->own_table));
    ledger->own_exists = true;
    ledger->table_exists = true;
    return true;
}

Str
ledger_digest_sql(Arena *arena, Db *db, FormatId format, Str schema, const char *table)
{
    Str in_schema, name;
    ledger_resolve(arena, db, format, schema, table, &in_schema, &name);
    Str expression = db_digest_expr(db, arena, ledger_tool(format)->digest);
    return db_render(
        db, arena, Q_LEDGER_DIGEST,
        DB_ARGS(ARG_RAW("expression", expression), ARG_IDENT("table", in_schema, name)));
}
