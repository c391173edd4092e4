/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about the version tables of other tools: names, shapes, owners, lock keys.
 */

#include "migrate/ledgers.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/hash.h"

#include "core/banned.h"

#define QUERIES_NONE                                                                               \
    .create = NO_QUERY, .seed = NO_QUERY, .read = NO_QUERY, .origin = NO_QUERY,                    \
    .applied = NO_QUERY, .begun = NO_QUERY, .failed = NO_QUERY, .reverted = NO_QUERY,              \
    .previous = NO_QUERY, .accept = NO_QUERY, .forget = NO_QUERY, .in_schema = NO_QUERY
#define QUERIES_UP(tool)                                                                           \
    .create = Q_LEDGER_##tool##_CREATE, .read = Q_LEDGER_##tool##_READ,                            \
    .origin = Q_LEDGER_##tool##_ORIGIN, .applied = Q_LEDGER_##tool##_APPLIED
#define QUERIES(tool) QUERIES_UP(tool), .reverted = Q_LEDGER_##tool##_REVERTED

#pragma GCC diagnostic push
/* A row says "none" first and then what there is. */
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static const LedgerTool tools[FORMAT_COUNT] = {
    [FORMAT_PLAIN] = {QUERIES_NONE, .table = "lockstep_migrations",
                      .columns = "version,name,checksum,state,statements_done,applied_at,"
                                 "duration_ms,run_id,origin,doubt",
                      .digest = {"version", "state", NULL}},
    [FORMAT_DBMATE] = {QUERIES_NONE, QUERIES(DBMATE), .table = "schema_migrations",
                       .columns = "version", .exact = true, .digest = {"version", NULL}},
    [FORMAT_GOLANG_MIGRATE] = {QUERIES_NONE, QUERIES(GOLANG), .seed = Q_LEDGER_GOLANG_SEED,
                               .begun = Q_LEDGER_GOLANG_BEGUN, .previous = Q_LEDGER_GOLANG_PREVIOUS,
                               .table = "schema_migrations", .columns = "version,dirty",
                               .exact = true, .high_water = true,
                               .digest = {"version", "dirty", NULL}},
    [FORMAT_GOOSE] = {QUERIES_NONE, QUERIES(GOOSE), .seed = Q_LEDGER_GOOSE_SEED,
                      .table = "goose_db_version", .columns = "id,version_id,is_applied,tstamp",
                      .digest = {"id", "version_id", "is_applied", NULL}},
    [FORMAT_FLYWAY] = {QUERIES_NONE, QUERIES(FLYWAY), .seed = Q_LEDGER_FLYWAY_SEED,
                       .failed = Q_LEDGER_FLYWAY_FAILED, .accept = Q_LEDGER_FLYWAY_ACCEPT,
                       .forget = Q_LEDGER_FLYWAY_FORGET, .table = "flyway_schema_history",
                       .columns = "installed_rank,version,description,type,script,checksum,"
                                  "installed_by,installed_on,execution_time,success",
                       .digest = {"installed_rank", "description", "success", NULL}},
    [FORMAT_DIESEL] = {QUERIES_NONE, QUERIES(DIESEL), .table = "__diesel_schema_migrations",
                       .columns = "version,run_on", .digest = {"version", NULL}},
    [FORMAT_SQLX] = {QUERIES_NONE, QUERIES(SQLX), .begun = Q_LEDGER_SQLX_BEGUN,
                     .accept = Q_LEDGER_SQLX_ACCEPT, .forget = Q_LEDGER_SQLX_FORGET,
                     .table = "_sqlx_migrations",
                     .columns = "version,description,installed_on,success,checksum,execution_time",
                     .digest = {"version", "success", NULL}},
    [FORMAT_TERN] = {QUERIES_NONE, QUERIES(TERN), .seed = Q_LEDGER_TERN_SEED,
                     .previous = Q_LEDGER_TERN_PREVIOUS, .table = "public.schema_version",
                     .columns = "version", .exact = true, .high_water = true,
                     .digest = {"version", NULL}},
    [FORMAT_PRISMA] = {QUERIES_NONE, QUERIES_UP(PRISMA), .begun = Q_LEDGER_PRISMA_BEGUN,
                       .accept = Q_LEDGER_PRISMA_ACCEPT, .forget = Q_LEDGER_PRISMA_FORGET,
                       .table = "_prisma_migrations",
                       .columns = "id,checksum,finished_at,migration_name,logs,rolled_back_at,"
                                  "started_at,applied_steps_count",
                       .digest = {"id", "checksum", "finished_at", "rolled_back_at", NULL}},
    /* Exact: Drizzle 1 adds columns, and runs again what has no name in them. */
    [FORMAT_DRIZZLE] = {QUERIES_NONE, QUERIES_UP(DRIZZLE), .accept = Q_LEDGER_DRIZZLE_ACCEPT,
                        .table = "__drizzle_migrations", .schema = "drizzle",
                        .in_schema = Q_LEDGER_DRIZZLE_SCHEMA, .columns = "id,hash,created_at",
                        .exact = true, .digest = {"hash", "created_at", NULL}},
};
#pragma GCC diagnostic pop

const LedgerTool *
ledger_tool(FormatId format)
{
    assert(format < FORMAT_COUNT);
    return &tools[format];
}

const char *
ledger_table_default(FormatId format)
{
    return ledger_tool(format)->table;
}

const char *
ledger_origin_prefix(Arena *arena, FormatId format)
{
    return format == FORMAT_PLAIN ? NULL : str_printf(arena, "%s:", format_name(format));
}

void
ledger_resolve(Arena *arena,
               const Db *db,
               FormatId format,
               Str schema,
               const char *table,
               Str *ret_schema,
               Str *ret_table)
{
    const LedgerTool *tool = ledger_tool(format);
    Str name = str_of(table ? table : tool->table);
    size_t dot = str_find(name, '.');
    bool qualified = dot > 0 && dot + 1 < name.n;
    if (tool->schema && db_has_query(db, tool->in_schema))
        schema = str_of(tool->schema);
    *ret_schema = str_copy(arena, qualified ? str_sub(name, 0, dot) : schema);
    *ret_table = str_copy(arena, qualified ? str_sub(name, dot + 1, name.n) : name);
}

/* ---- shapes ---- */

static bool
next_name(Str *list, Str *ret)
{
    if (list->n == 0)
        return false;
    size_t comma = str_find(*list, ',');
    *ret = str_sub(*list, 0, comma);
    *list = str_sub(*list, comma + 1, list->n);
    return true;
}

static bool
has_column(Str columns, Str name)
{
    Str column;
    while (next_name(&columns, &column)) {
        if (str_eq_nocase(column, name))
            return true;
    }
    return false;
}

bool
ledger_has_columns(Str columns, const char *wanted, bool exact)
{
    Str list = str_of(wanted), name;
    size_t n = 0, has = 0;
    while (next_name(&list, &name)) {
        if (!has_column(columns, name))
            return false;
        n++;
    }
    while (next_name(&columns, &name))
        has++;
    return !exact || has == n;
}

const char *
ledger_owner(Str columns, bool rails)
{
    static const struct {
        const char *column, *tool;
    } marks[] = {
        {"dirty", "golang-migrate"},  {"filename", "Sequel"},     {"inserted_at", "Ecto"},
        {"installed_rank", "Flyway"}, {"version_id", "goose"},    {"md5", "Postgrator"},
        {"run_on", "diesel"},         {"execution_time", "sqlx"}, {"statements_done", "lockstep"},
        {"migration_name", "Prisma"},
    };
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        if (has_column(columns, str_of(marks[i].column)))
            return marks[i].tool;
    }
    if (ledger_has_columns(columns, "hash,created_at,name,applied_at", false))
        return "Drizzle 1";
    if (ledger_has_columns(columns, "id,hash,created_at", true))
        return "Drizzle";
    if (!ledger_has_columns(columns, "version", true))
        return NULL;
    return rails ? "Rails" : "dbmate or tern";
}

/* ---- locks ---- */

static Str
joined(Arena *arena, Str a, char between, Str b)
{
    StrBuf out = strbuf_new(arena, 4096);
    strbuf_add(&out, str_sub(a, 0, 1024));
    strbuf_addc(&out, between);
    strbuf_add(&out, str_sub(b, 0, 1024));
    return strbuf_str(&out);
}

static void
add_lock(Arena *arena, Ledger *ledger, int64_t key, const char *name)
{
    *vec_push(arena, &ledger->locks) =
        (ForeignLock){.key = key, .name = name, .tool = format_name(ledger->spec.format)};
}

/* database.GenerateAdvisoryLockId: CRC32 of the parts joined by NUL, times a salt, mod 2^32. */
static void
golang_locks(Arena *arena, Ledger *ledger, Str database)
{
    const uint32_t salt = 1486364155;
    Str place = joined(arena, ledger->table_schema, '\0', ledger->table);
    uint32_t mysql = hash_crc32(0, joined(arena, database, ':', ledger->table)) * salt;
    const char *name = str_printf(arena, "%" PRIu32, mysql);
    /* Opened by URL, as the command line does, the database's name keeps the slash before it. */
    Str slash = joined(arena, STR(""), '/', database);
    add_lock(arena, ledger, hash_crc32(0, joined(arena, place, '\0', database)) * salt, name);
    add_lock(arena, ledger, hash_crc32(0, joined(arena, place, '\0', slash)) * salt, name);
}

/* String.hashCode of Java over ASCII. */
static int32_t
java_hash(Str text)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < text.n; i++)
        hash = hash * 31 + (unsigned char)text.p[i];
    return (int32_t)hash;
}

static void
flyway_locks(Arena *arena, Ledger *ledger)
{
    Str schema = ledger->table_schema, table = ledger->table;
    int32_t pg = java_hash(str_of(
        str_printf(arena, "\"" STR_FMT "\".\"" STR_FMT "\"", STR_ARG(schema), STR_ARG(table))));
    int32_t mysql = java_hash(
        str_of(str_printf(arena, "`" STR_FMT "`.`" STR_FMT "`", STR_ARG(schema), STR_ARG(table))));
    add_lock(arena, ledger, INT64_C(77431708279161) + pg,
             str_printf(arena, "Flyway-%" PRId32, mysql));
}

void
ledger_tool_locks(Arena *arena, Ledger *ledger)
{
    Str database = ledger->spec.database ? str_of(ledger->spec.database) : STR("");
    int64_t sqlx;
    switch (ledger->spec.format) {
    case FORMAT_GOLANG_MIGRATE:
        golang_locks(arena, ledger, database);
        return;
    case FORMAT_GOOSE: /* its library's; the command line takes none */
        add_lock(arena, ledger, INT64_C(4097083626), NULL);
        return;
    case FORMAT_FLYWAY:
        flyway_locks(arena, ledger);
        return;
    case FORMAT_SQLX:
        sqlx = INT64_C(0x3d32ad9e) * hash_crc32(0, database);
        add_lock(arena, ledger, sqlx, str_printf(arena, "%" PRIx64, sqlx));
        return;
    case FORMAT_TERN:
        add_lock(arena, ledger, INT64_C(9628173550095224), NULL);
        return;
    case FORMAT_PRISMA:
        add_lock(arena, ledger, INT64_C(72707369), "prisma_migrate");
        return;
    case FORMAT_PLAIN:
    case FORMAT_DBMATE:
    case FORMAT_DIESEL:
    case FORMAT_DRIZZLE:
    case FORMAT_COUNT:
        return;
    }
}
