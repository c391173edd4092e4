/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written into version tables, as SQL text that travels with the migration. First the
 * tool's row, then ours: ours names the tool's row that it was written for, and carries the fence
 * (its version is NULL, so that the transaction fails, when we lead no more).
 */

#include "migrate/ledger.h"

#include <string.h>

#include "migrate/ledgers.h"

#include "core/banned.h"

enum { TEXT_CEILING = 8 * 1024 * 1024, FLYWAY_DESCRIPTION_MAX = 200, FLYWAY_SCRIPT_MAX = 1000 };

/* Values of one row, ours and the tool's. */
typedef struct Record {
    const char *version, *name, *script; /* version NULL: flyway's repeatable */
    const char *checksum, *tool_checksum;
    const char *state;
    int done;
    bool stamp; /* applied now */
    int64_t duration_ms;
    const char *run_id, *previous;
    Str doubt, fence;
} Record;

typedef struct Writer {
    Arena *arena;
    Db *db;
    const Ledger *ledger;
    Record record;
    StrBuf text;
} Writer;

static Writer
writer(Arena *arena, Db *db, const Ledger *ledger, Record record)
{
    return (Writer){.arena = arena,
                    .db = db,
                    .ledger = ledger,
                    .record = record,
                    .text = strbuf_new(arena, TEXT_CEILING)};
}

static Str
written(const Writer *w)
{
    return w->text.n ? strbuf_str(&w->text) : STR("");
}

/* What a table keeps for a version: Prisma's the whole name of the folder. */
static const char *
kept_version(const Ledger *ledger, const char *version, const char *id)
{
    return ledger->spec.format == FORMAT_PRISMA && id ? id : version;
}

static Record
record_of(const Ledger *ledger, const Migration *m, const char *run_id)
{
    return (Record){.version = kept_version(ledger, m->version, m->id),
                    .name = m->name,
                    .script = m->script,
                    .checksum = m->checksum,
                    .tool_checksum = m->tool_checksum,
                    .duration_ms = -1,
                    .run_id = run_id,
                    .fence = STR("true")};
}

/* ---- values ---- */

/* Flyway's columns are shorter than names may be: it keeps the head of a description and the tail
 * of a script. */
static Str
flyway_head(Arena *arena, Str s)
{
    if (s.n <= FLYWAY_DESCRIPTION_MAX)
        return s;
    size_t n = FLYWAY_DESCRIPTION_MAX - 3;
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return str_of(str_printf(arena, STR_FMT "...", STR_ARG(str_sub(s, 0, n))));
}

static Str
flyway_tail(Arena *arena, const char *text)
{
    Str s = str_of(text);
    if (s.n <= FLYWAY_SCRIPT_MAX)
        return s;
    size_t from = s.n - (FLYWAY_SCRIPT_MAX - 3);
    while (from < s.n && ((unsigned char)s.p[from] & 0xc0) == 0x80)
        from++;
    return str_of(str_printf(arena, "..." STR_FMT, STR_ARG(str_sub(s, from, s.n))));
}

static int64_t
as_number(const char *text)
{
    int64_t n;
    return text && str_to_i64(str_of(text), &n) ? n : 0;
}

static Str
number_or_null(Arena *arena, int64_t n)
{
    return n < 0 ? STR("null") : str_of(str_printf(arena, "%lld", (long long)n));
}

/* The number that goes into a table of one mark: a file that came late does not move it back. */
static int64_t
mark(const Writer *w, const Record *r)
{
    int64_t number = as_number(r->version), current = as_number(w->ledger->current);
    bool upward = r->state != NULL;
    return w->ledger->high_water && upward && current > number ? current : number;
}

static Str
duration(Arena *arena, const Db *db, int64_t ms)
{
    return ms == LEDGER_SINCE_BEGIN ? db_render(db, arena, Q_LEDGER_SINCE_BEGIN, NULL)
                                    : number_or_null(arena, ms);
}

/* Where an engine takes one statement a call, callers cut the text at ";\n": no value may hold
 * that. */
static Str
uncut(Arena *arena, Str value)
{
    if (!value.p || str_find_str(value, STR(";\n")) == value.n)
        return value;
    char *copy = str_dup(arena, value);
    for (size_t i = 0; i + 1 < value.n; i++) {
        if (copy[i] == ';' && copy[i + 1] == '\n')
            copy[i + 1] = ' ';
    }
    return (Str){copy, value.n};
}

/* The version as our table keeps it: repeatables have none of their own. */
static Str
own_key(Arena *arena, const Record *r)
{
    return str_of(r->version ? r->version : str_printf(arena, "R__%s", r->name));
}

static Str
render(Writer *w, DbQuery query, Str origin)
{
    const Record *r = &w->record;
    Arena *arena = w->arena;
    bool flyway = w->ledger->spec.format == FORMAT_FLYWAY;
    Str name = uncut(arena, str_of(r->name ? r->name : ""));
    const DbArg args[] = {
        ARG_TEXT("version", own_key(arena, r)),
        ARG_TEXT("stored", str_of(r->version)),
        ARG_INT("number", mark(w, r)),
        ARG_INT("previous", as_number(r->previous)),
        ARG_TEXT("name", name),
        ARG_TEXT("description", flyway ? flyway_head(arena, name) : name),
        ARG_TEXT("script", uncut(arena, flyway_tail(arena, r->script ? r->script : ""))),
        ARG_TEXT("checksum", str_of(r->checksum)),
        ARG_TEXT("tool_checksum", str_of(r->tool_checksum ? r->tool_checksum : "")),
        ARG_RAW("crc", str_of(flyway && r->tool_checksum ? r->tool_checksum : "null")),
        ARG_TEXT("state", str_of(r->state)),
        ARG_INT("done", r->done),
        ARG_RAW("stamp", r->stamp ? STR("true") : STR("false")),
        ARG_RAW("duration", duration(arena, w->db, r->duration_ms)),
        ARG_RAW("elapsed",
                r->duration_ms == -1 ? STR("0") : duration(arena, w->db, r->duration_ms)),
        ARG_TEXT("run_id", str_of(r->run_id)),
        ARG_TEXT("doubt", uncut(arena, r->doubt)),
        ARG_RAW("fence", r->fence),
        ARG_RAW("origin", origin),
        {DB_ARG_END, NULL, {0}, {0}, 0},
    };
    return ledger_render(arena, w->db, w->ledger, query, args);
}

/* ---- pieces ---- */

static void
add(Writer *w, Str sql)
{
    if (w->text.n)
        strbuf_puts(&w->text, ";\n");
    strbuf_add(&w->text, sql);
}

static void
foreign(Writer *w, DbQuery query)
{
    if (query != NO_QUERY && db_has_query(w->db, query))
        add(w, render(w, query, STR_ABSENT));
}

static void
own(Writer *w, DbQuery query)
{
    const LedgerTool *tool = ledger_tool(w->ledger->spec.format);
    bool plain = w->ledger->spec.format == FORMAT_PLAIN;
    if (!plain && !w->ledger->spec.own_allowed)
        return;
    Str origin = plain ? STR("null") : render(w, tool->origin, STR_ABSENT);
    add(w, render(w, query, origin));
}

/* The version as the table spells it, where that may differ from the file's name (1 and 01). */
static const char *
stored_version(const Ledger *ledger, const Migration *m)
{
    for (size_t i = 0; i < ledger->rows.n; i++) {
        const LedgerRow *row = &ledger->rows.p[i];
        if (row->id && m->id && strcmp(row->id, m->id) == 0)
            return kept_version(ledger, row->version, row->id);
    }
    return kept_version(ledger, m->version, m->id);
}

/* ---- what the header promises ---- */

Str
ledger_sql_applied(Arena *arena,
                   Db *db,
                   const Ledger *ledger,
                   const Migration *m,
                   int64_t duration_ms,
                   const char *run_id,
                   Str fence)
{
    Writer w = writer(arena, db, ledger, record_of(ledger, m, run_id));
    w.record.state = "applied";
    w.record.stamp = true;
    w.record.duration_ms = duration_ms;
    w.record.done = (int)m->up.statements.n;
    w.record.fence = fence;
    foreign(&w, ledger_tool(ledger->spec.format)->applied);
    own(&w, Q_LEDGER_OWN_PUT);
    return written(&w);
}

Str
ledger_sql_adopted(
    Arena *arena, Db *db, const Ledger *ledger, const Migration *m, const char *run_id, Str fence)
{
    Writer w = writer(arena, db, ledger, record_of(ledger, m, run_id));
    w.record.state = "applied";
    w.record.checksum = NULL;
    w.record.fence = fence;
    own(&w, Q_LEDGER_OWN_PUT);
    return written(&w);
}

Str
ledger_sql_begun(
    Arena *arena, Db *db, const Ledger *ledger, const Migration *m, const char *run_id, Str fence)
{
    Writer w = writer(arena, db, ledger, record_of(ledger, m, run_id));
    w.record.state = "running";
    w.record.fence = fence;
    foreign(&w, ledger_tool(ledger->spec.format)->begun);
    own(&w, Q_LEDGER_OWN_PUT);
    return written(&w);
}

Str
ledger_sql_progress(Arena *arena,
                    Db *db,
                    const Ledger *ledger,
                    const Migration *m,
                    int done,
                    Str doubt,
                    const char *run_id,
                    Str fence)
{
    Writer w = writer(arena, db, ledger, record_of(ledger, m, run_id));
    w.record.state = "running";
    w.record.done = done;
    w.record.doubt = doubt;
    w.record.fence = fence;
    own(&w, Q_LEDGER_OWN_PUT);
    return written(&w);
}

Str
ledger_sql_failed(
    Arena *arena, Db *db, const Ledger *ledger, const Migration *m, const char *run_id)
{
    Writer w = writer(arena, db, ledger, record_of(ledger, m, run_id));
    /* Flyway's failed row only where ours says that the migration had begun outside a
     * transaction: inside one nothing is left of it. */
    if (ledger->spec.own_allowed)
        foreign(&w, ledger_tool(ledger->spec.format)->failed);
    own(&w, Q_LEDGER_OWN_FAILED);
    return written(&w);
}

Str
ledger_sql_reverted(Arena *arena,
                    Db *db,
                    const Ledger *ledger,
                    const Migration *m,
                    const char *previous,
                    const char *run_id,
                    Str fence)
{
    const LedgerTool *tool = ledger_tool(ledger->spec.format);
    Writer w = writer(arena, db, ledger, record_of(ledger, m, run_id));
    w.record.version = stored_version(ledger, m);
    w.record.state = "running";
    w.record.fence = fence;
    w.record.previous = previous;
    if (m->down_path && m->script && strlen(m->path) >= strlen(m->script))
        w.record.script = m->down_path + (strlen(m->path) - strlen(m->script));
    /* A DELETE cannot fail by itself: the fence stands in a row that is deleted at the end. */
    if (!str_eq(fence, STR("true")))
        own(&w, Q_LEDGER_OWN_PUT);
    foreign(&w, tool->reverted);
    if (previous)
        foreign(&w, tool->previous);
    own(&w, Q_LEDGER_OWN_DELETE);
    return written(&w);
}

Str
ledger_sql_accept(Arena *arena, Db *db, const Ledger *ledger, const Migration *m)
{
    Writer w = writer(arena, db, ledger, record_of(ledger, m, NULL));
    w.record.version = stored_version(ledger, m);
    foreign(&w, ledger_tool(ledger->spec.format)->accept);
    if (ledger->own_exists)
        own(&w, Q_LEDGER_OWN_ACCEPT);
    return written(&w);
}

Str
ledger_sql_forget(Arena *arena, Db *db, const Ledger *ledger, const LedgerRow *row)
{
    const LedgerTool *tool = ledger_tool(ledger->spec.format);
    Writer w = writer(arena, db, ledger,
                      (Record){.version = kept_version(ledger, row->version, row->id),
                               .name = row->name,
                               .duration_ms = -1,
                               .previous = row->previous,
                               .fence = STR("true")});
    foreign(&w, tool->forget);
    if (ledger->high_water && ledger->current_dirty && row->foreign_row) {
        foreign(&w, tool->reverted);
        if (row->previous)
            foreign(&w, tool->previous);
    }
    if (ledger->own_exists)
        own(&w, Q_LEDGER_OWN_DELETE);
    return written(&w);
}
