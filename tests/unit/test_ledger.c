/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version tables, written and read for real: on SQLite always; on servers too where
 * LOCKSTEP_TEST_POSTGRES and LOCKSTEP_TEST_MYSQL hold the URL of a database that may be changed.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash.h"
#include "migrate/ledgers.h"
#include "migrate/plan.h"

#include "core/banned.h"

#define SCHEMA "lockstep_ledger_test"
#define RUN    "run-1"

typedef struct Bench {
    Arena *arena;
    Wait wait;
    Db *db;
    Str schema;
    Ledger ledger;
    Error err;
} Bench;

static const char *test_url; /* of the engine under test, NULL = SQLite */

#define OK(b, call)                                                                                \
    do {                                                                                           \
        (b)->err = ERROR_INIT;                                                                     \
        if (!(call))                                                                               \
            fail_msg("%s %s", (b)->err.message, (b)->err.detail);                                  \
    } while (0)

static void
sql(Bench *b, const char *text)
{
    OK(b, db_exec(b->db, str_of(text), &b->err));
}

/* Statement by statement, as on engines that take one a call. */
static bool
run_text(Bench *b, Str text)
{
    while (text.n) {
        size_t end = str_find_str(text, STR(";\n"));
        if (!db_exec(b->db, str_sub(text, 0, end), &b->err))
            return false;
        text = str_sub(text, end + 2, text.n);
    }
    return true;
}

static int
setup(void **state)
{
    Arena *arena = arena_new();
    Bench *b = arena_make(arena, Bench);
    DbUrl url = {.engine = DB_SQLITE,
                 .database = str_dup(arena, STR(":memory:")),
                 .display = str_dup(arena, STR("sqlite::memory:"))};
    DbOptions *options = arena_make(arena, DbOptions);
    b->arena = arena;
    b->wait = wait_init();
    b->schema = test_url ? STR(SCHEMA) : STR("main");
    options->wait = &b->wait;
    *state = b;
    if (test_url)
        OK(b, dburl_parse(arena, str_of(test_url), &url, &b->err));
    OK(b, db_connect(arena, &url, options, &b->db, &b->err));
    if (url.engine == DB_POSTGRES)
        sql(b, "set client_min_messages = warning; drop schema if exists " SCHEMA
               " cascade; create schema " SCHEMA);
    if (url.engine == DB_MYSQL) {
        sql(b, "drop database if exists " SCHEMA);
        sql(b, "create database " SCHEMA);
    }
    return 0;
}

static int
teardown(void **state)
{
    Bench *b = *state;
    db_close(b->db);
    arena_free(b->arena);
    return 0;
}

static const char *
own_table(Bench *b, const char *name)
{
    return str_printf(b->arena, STR_FMT ".%s", STR_ARG(b->schema), name);
}

/* ---- helpers ---- */

static LedgerSpec
spec_of(Bench *b, FormatId format)
{
    return (LedgerSpec){.format = format,
                        .schema = b->schema,
                        .table = format == FORMAT_TERN      ? own_table(b, "schema_version")
                                 : format == FORMAT_DRIZZLE ? own_table(b, "__drizzle_migrations")
                                                            : NULL,
                        .database = "app",
                        .own_allowed = true};
}

static bool
works_here(Bench *b, FormatId format)
{
    const LedgerTool *tool = ledger_tool(format);
    return tool->read == NO_QUERY || db_has_query(b->db, tool->read);
}

static void
open_ledger(Bench *b, FormatId format)
{
    LedgerSpec spec = spec_of(b, format);
    OK(b, ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
}

static void
reread(Bench *b)
{
    LedgerSpec spec = b->ledger.spec;
    OK(b, ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
    OK(b, ledger_read(b->arena, b->db, &b->ledger, &b->err));
}

static void
make_ledger(Bench *b, FormatId format)
{
    open_ledger(b, format);
    OK(b, ledger_create(b->arena, b->db, &b->ledger, &b->err));
    reread(b);
}

static Migration
migration(Bench *b, FormatId format, const char *version)
{
    Migration m = {.version = str_dup(b->arena, str_of(version)),
                   .name = str_dup(b->arena, STR("it's a name")),
                   .checksum = hash_hex(b->arena, HASH_SHA256, STR("text")),
                   .has_up = true};
    m.id = m.key = version ? format_version_id(b->arena, format, version)
                           : format_repeatable_id(b->arena, m.name);
    m.script = str_printf(b->arena, "%s_x.sql", version ? version : "R");
    m.path = str_printf(b->arena, "db/%s", m.script);
    m.repeatable = version == NULL;
    if (format == FORMAT_FLYWAY)
        m.tool_checksum = str_dup(b->arena, STR("-133051733"));
    if (format == FORMAT_SQLX)
        m.tool_checksum = hash_hex(b->arena, HASH_SHA384, STR("text"));
    if (format == FORMAT_PRISMA || format == FORMAT_DRIZZLE)
        m.tool_checksum = hash_hex(b->arena, HASH_SHA256, STR("text"));
    return m;
}

static void
apply(Bench *b, const Migration *m)
{
    Str text = ledger_sql_applied(b->arena, b->db, &b->ledger, m, 12, RUN, STR("true"));
    OK(b, run_text(b, text));
}

static const LedgerRow *
row_of(Bench *b, const char *version)
{
    for (size_t i = 0; i < b->ledger.rows.n; i++) {
        const LedgerRow *r = &b->ledger.rows.p[i];
        if (version ? r->version && strcmp(r->version, version) == 0 : !r->version)
            return r;
    }
    return NULL;
}

static Str
scalar(Bench *b, const char *text)
{
    DbResult r;
    OK(b, db_query(b->db, b->arena, str_of(text), &r, &b->err));
    assert_int_equal(r.rows, 1);
    return DB_CELL(&r, 0, 0);
}

static void
assert_scalar(Bench *b, const char *what, const char *from, const char *value)
{
    Str seen = scalar(b, str_printf(b->arena, "select %s from %s", what, own_table(b, from)));
    if (!str_eq(seen, str_of(value)))
        fail_msg("'" STR_FMT "' is not '%s'", STR_ARG(seen), value);
}

/* ---- every format ---- */

static const FormatId all_formats[] = {
    FORMAT_PLAIN,  FORMAT_DBMATE, FORMAT_GOLANG_MIGRATE, FORMAT_GOOSE,  FORMAT_FLYWAY,
    FORMAT_DIESEL, FORMAT_SQLX,   FORMAT_TERN,           FORMAT_PRISMA, FORMAT_DRIZZLE};

static void
fresh(Bench *b)
{
    static const char *const tables[] = {
        "lockstep_migrations",   "schema_migrations",  "goose_db_version",
        "flyway_schema_history", "_sqlx_migrations",   "__diesel_schema_migrations",
        "schema_version",        "_prisma_migrations", "__drizzle_migrations",
    };
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        sql(b, str_printf(b->arena, "drop table if exists %s", own_table(b, tables[i])));
}

static void
goes_forth_and_back(void **state)
{
    Bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(all_formats); i++) {
        FormatId format = all_formats[i];
        if (!works_here(b, format))
            continue;
        fresh(b);
        open_ledger(b, format);
        assert_false(b->ledger.table_exists);
        assert_false(b->ledger.own_exists);
        OK(b, ledger_read(b->arena, b->db, &b->ledger, &b->err));
        assert_int_equal(b->ledger.rows.n, 0);
        make_ledger(b, format);
        assert_true(b->ledger.table_exists);
        assert_true(b->ledger.own_exists);
        assert_false(b->ledger.runs_exists);
        assert_int_equal(b->ledger.rows.n, 0);
        assert_null(b->ledger.current);

        Migration one = migration(b, format, "1"), two = migration(b, format, "2");
        apply(b, &one);
        apply(b, &two);
        reread(b);
        assert_int_equal(b->ledger.rows.n, 2);
        for (size_t k = 0; k < 2; k++) {
            const LedgerRow *r = row_of(b, k ? "2" : "1");
            assert_non_null(r);
            assert_int_equal(r->state, ROW_APPLIED);
            assert_true(r->own_row);
            assert_string_equal(r->checksum, one.checksum);
            assert_string_equal(r->name, one.name);
            assert_int_equal(r->duration_ms, 12);
            assert_non_null(r->applied_at);
            assert_int_equal(strlen(r->applied_at), 20);
            assert_int_equal(r->applied_at[19], 'Z');
            assert_string_equal(r->run_id, RUN);
            if (one.tool_checksum)
                assert_string_equal(r->tool_checksum, one.tool_checksum);
        }
        if (b->ledger.high_water)
            assert_string_equal(b->ledger.current, "2");
        if (format == FORMAT_PRISMA || format == FORMAT_DRIZZLE) /* know no way back */
            continue;

        Str text = ledger_sql_reverted(b->arena, b->db, &b->ledger, &two, "1", RUN, STR("1 = 1"));
        OK(b, run_text(b, text));
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        assert_non_null(row_of(b, "1"));
        text = ledger_sql_reverted(b->arena, b->db, &b->ledger, &one, NULL, RUN, STR("true"));
        OK(b, run_text(b, text));
        reread(b);
        assert_int_equal(b->ledger.rows.n, 0);
        assert_null(b->ledger.current);
        apply(b, &one);
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        assert_non_null(row_of(b, "1")->checksum);
    }
}

static void
a_lost_leader_writes_nothing(void **state)
{
    Bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(all_formats); i++) {
        FormatId format = all_formats[i];
        if (!works_here(b, format))
            continue;
        fresh(b);
        make_ledger(b, format);
        Migration one = migration(b, format, "1"), two = migration(b, format, "2");
        apply(b, &one);
        const Str texts[] = {
            ledger_sql_applied(b->arena, b->db, &b->ledger, &two, 1, RUN, STR("1 = 0")),
            ledger_sql_begun(b->arena, b->db, &b->ledger, &two, RUN, STR("1 = 0")),
            ledger_sql_progress(b->arena, b->db, &b->ledger, &two, 1, STR_ABSENT, RUN,
                                STR("1 = 0")),
            ledger_sql_reverted(b->arena, b->db, &b->ledger, &one, NULL, RUN, STR("1 = 0")),
        };
        for (size_t k = 0; k < COUNT_OF(texts); k++) {
            sql(b, "begin");
            b->err = ERROR_INIT;
            assert_false(run_text(b, texts[k]));
            assert_int_equal(b->err.cls, ERROR_CLASS_NULL_VIOLATION);
            b->err = ERROR_INIT;
            sql(b, "rollback");
        }
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        assert_int_equal(row_of(b, "1")->state, ROW_APPLIED);
    }
}

static void
resumes_outside_a_transaction(void **state)
{
    Bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(all_formats); i++) {
        FormatId format = all_formats[i];
        if (!works_here(b, format))
            continue;
        fresh(b);
        make_ledger(b, format);
        Migration one = migration(b, format, "1");
        Str yes = STR("true");
        OK(b, run_text(b, ledger_sql_begun(b->arena, b->db, &b->ledger, &one, RUN, yes)));
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        assert_int_equal(row_of(b, "1")->state, ROW_RUNNING);
        assert_true(row_of(b, "1")->own_row);
        assert_int_equal(row_of(b, "1")->statements_done, 0);
        assert_int_equal(b->ledger.current_dirty, format == FORMAT_GOLANG_MIGRATE);
        OK(b, run_text(b, ledger_sql_progress(b->arena, b->db, &b->ledger, &one, 3,
                                              STR("it's;\nhalf"), RUN, yes)));
        OK(b, run_text(b, ledger_sql_failed(b->arena, b->db, &b->ledger, &one, "run-2")));
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        const LedgerRow *r = row_of(b, "1");
        assert_int_equal(r->state, ROW_FAILED);
        assert_true(r->own_row);
        assert_int_equal(r->statements_done, 3);
        assert_string_equal(r->doubt, "it's; half");
        assert_string_equal(r->run_id, "run-2");
        assert_string_equal(r->checksum, one.checksum);
        /* Once more: a second failure leaves no second row. */
        OK(b, run_text(b, ledger_sql_failed(b->arena, b->db, &b->ledger, &one, "run-3")));
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        apply(b, &one);
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        assert_int_equal(row_of(b, "1")->state, ROW_APPLIED);
        assert_null(row_of(b, "1")->doubt);
        assert_false(b->ledger.current_dirty);
    }
}

static void
a_failure_in_a_transaction_leaves_its_mark(void **state)
{
    Bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(all_formats); i++) {
        FormatId format = all_formats[i];
        if (!works_here(b, format))
            continue;
        fresh(b);
        make_ledger(b, format);
        Migration one = migration(b, format, "1");
        OK(b, run_text(b, ledger_sql_failed(b->arena, b->db, &b->ledger, &one, RUN)));
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        const LedgerRow *row = &b->ledger.rows.p[0];
        assert_int_equal(row->state, ROW_FAILED);
        assert_int_equal(row->statements_done, 0);
        assert_true(row->own_row);
        assert_null(row->doubt);
    }
}

static void
works_without_its_own_table(void **state)
{
    Bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(all_formats); i++) {
        FormatId format = all_formats[i];
        if (!works_here(b, format))
            continue;
        fresh(b);
        LedgerSpec spec = spec_of(b, format);
        spec.own_allowed = false;
        OK(b, ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
        if (format == FORMAT_PLAIN) {
            assert_false(ledger_create(b->arena, b->db, &b->ledger, &b->err));
            assert_int_equal(b->err.code, ERROR_FAILED);
            continue;
        }
        OK(b, ledger_create(b->arena, b->db, &b->ledger, &b->err));
        Migration one = migration(b, format, "1");
        apply(b, &one);
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        assert_false(b->ledger.own_exists);
        assert_false(row_of(b, "1")->own_row);
        assert_null(row_of(b, "1")->checksum);
    }
}

static void
repair_accepts_and_forgets(void **state)
{
    Bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(all_formats); i++) {
        FormatId format = all_formats[i];
        if (!works_here(b, format))
            continue;
        fresh(b);
        make_ledger(b, format);
        Migration one = migration(b, format, "1"), two = migration(b, format, "2");
        apply(b, &one);
        one.checksum = hash_hex(b->arena, HASH_SHA256, STR("other"));
        if (format == FORMAT_FLYWAY)
            one.tool_checksum = str_dup(b->arena, STR("77"));
        if (format == FORMAT_SQLX)
            one.tool_checksum = hash_hex(b->arena, HASH_SHA384, STR("other"));
        if (format == FORMAT_PRISMA || format == FORMAT_DRIZZLE)
            one.tool_checksum = hash_hex(b->arena, HASH_SHA256, STR("other"));
        reread(b);
        OK(b, run_text(b, ledger_sql_accept(b->arena, b->db, &b->ledger, &one)));
        reread(b);
        assert_string_equal(row_of(b, "1")->checksum, one.checksum);
        if (one.tool_checksum)
            assert_string_equal(row_of(b, "1")->tool_checksum, one.tool_checksum);
        OK(b, run_text(b, ledger_sql_begun(b->arena, b->db, &b->ledger, &two, RUN, STR("true"))));
        OK(b, run_text(b, ledger_sql_failed(b->arena, b->db, &b->ledger, &two, RUN)));
        reread(b);
        LedgerRow failed = *row_of(b, "2");
        assert_int_equal(failed.state, ROW_FAILED);
        failed.previous = one.version;
        OK(b, run_text(b, ledger_sql_forget(b->arena, b->db, &b->ledger, &failed)));
        reread(b);
        assert_int_equal(b->ledger.rows.n, 1);
        assert_int_equal(row_of(b, "1")->state, ROW_APPLIED);
        if (b->ledger.high_water)
            assert_string_equal(b->ledger.current, "1");
    }
}

static void
digest_follows_the_table(void **state)
{
    Bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(all_formats); i++) {
        FormatId format = all_formats[i];
        if (!works_here(b, format))
            continue;
        fresh(b);
        make_ledger(b, format);
        Str text = ledger_digest_sql(b->arena, b->db, format, b->schema, b->ledger.spec.table);
        const char *query = str_dup(b->arena, text);
        char *before = str_dup(b->arena, scalar(b, query));
        Migration one = migration(b, format, "1");
        apply(b, &one);
        char *after = str_dup(b->arena, scalar(b, query));
        assert_string_not_equal(before ? before : "", after);
        assert_true(str_eq(scalar(b, query), str_of(after)));
    }
}

/* ---- shapes ---- */

static void
tools_own_shapes(void **state)
{
    Bench *b = *state;
    make_ledger(b, FORMAT_GOOSE);
    assert_scalar(b, "version_id", "goose_db_version", "0");
    assert_scalar(b, "count(*)", "goose_db_version where is_applied", "1");
    make_ledger(b, FORMAT_FLYWAY);
    Migration one = migration(b, FORMAT_FLYWAY, "1");
    apply(b, &one);
    assert_scalar(b, "type", "flyway_schema_history", "SQL");
    assert_scalar(b, "script", "flyway_schema_history", "1_x.sql");
    assert_scalar(b, "installed_rank", "flyway_schema_history", "1");
    assert_scalar(b, "execution_time", "flyway_schema_history", "12");
    make_ledger(b, FORMAT_SQLX);
    one = migration(b, FORMAT_SQLX, "1");
    apply(b, &one);
    assert_scalar(b, "execution_time", "_sqlx_migrations", "12000000");
    make_ledger(b, FORMAT_GOLANG_MIGRATE);
    one = migration(b, FORMAT_GOLANG_MIGRATE, "9007199254740993");
    apply(b, &one);
    assert_scalar(b, "version", "schema_migrations", "9007199254740993");
    assert_scalar(b, "count(*)", "schema_migrations where not dirty", "1");
}

static void
refuses_other_owners(void **state)
{
    Bench *b = *state;
    static const struct {
        const char *columns, *owner;
        FormatId format;
    } cases[] = {
        {"version bigint, dirty int", "golang-migrate", FORMAT_DBMATE},
        {"filename varchar(20)", "Sequel", FORMAT_DBMATE},
        {"version bigint, inserted_at int", "Ecto", FORMAT_DBMATE},
        {"version varchar(20)", "dbmate", FORMAT_GOLANG_MIGRATE},
        {"filename varchar(20)", "Sequel", FORMAT_GOLANG_MIGRATE},
        {"foo int", "foo", FORMAT_DBMATE},
        {"id int, hash text, created_at bigint", "Drizzle", FORMAT_DBMATE},
        {"id int, migration_name text", "Prisma", FORMAT_DBMATE},
    };
    LedgerSpec spec;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fresh(b);
        sql(b, str_printf(b->arena, "create table %s (%s)", own_table(b, "schema_migrations"),
                          cases[i].columns));
        spec = spec_of(b, cases[i].format);
        b->err = ERROR_INIT;
        assert_false(ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
        assert_int_equal(b->err.code, ERROR_REFUSED);
        assert_non_null(strstr(b->err.message, cases[i].owner));
    }
    fresh(b);
    sql(b, str_printf(b->arena, "create table %s (version varchar(20))",
                      own_table(b, "schema_migrations")));
    open_ledger(b, FORMAT_DBMATE);
    sql(b, str_printf(b->arena, "create table %s (k int)", own_table(b, "ar_internal_metadata")));
    spec = spec_of(b, FORMAT_DBMATE);
    b->err = ERROR_INIT;
    assert_false(ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
    assert_non_null(strstr(b->err.message, "Rails"));
    sql(b, str_printf(b->arena, "drop table %s", own_table(b, "ar_internal_metadata")));
    sql(b,
        str_printf(b->arena, "create table %s (version int)", own_table(b, "lockstep_migrations")));
    b->err = ERROR_INIT;
    assert_false(ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
    assert_non_null(strstr(b->err.message, "not lockstep's"));
}

static void
probes_for_sqlx(void **state)
{
    Bench *b = *state;
    bool tern, sqlx;
    OK(b, ledger_probe(b->arena, b->db, b->schema, &tern, &sqlx, &b->err));
    assert_false(sqlx);
    make_ledger(b, FORMAT_SQLX);
    OK(b, ledger_probe(b->arena, b->db, b->schema, &tern, &sqlx, &b->err));
    assert_true(sqlx);
}

static void
other_names(void **state)
{
    Bench *b = *state;
    LedgerSpec spec = spec_of(b, FORMAT_FLYWAY);
    spec.table = own_table(b, "Odd \"name");
    OK(b, ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
    OK(b, ledger_create(b->arena, b->db, &b->ledger, &b->err));
    Migration one = migration(b, FORMAT_FLYWAY, "1");
    apply(b, &one);
    reread(b);
    assert_int_equal(b->ledger.rows.n, 1);
    spec = spec_of(b, FORMAT_PLAIN);
    spec.table = "my_versions";
    OK(b, ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
    OK(b, ledger_create(b->arena, b->db, &b->ledger, &b->err));
    apply(b, &one);
    reread(b);
    assert_scalar(b, "count(*)", "my_versions", "1");
    assert_int_equal(b->ledger.rows.n, 1);
}

/* ---- two tables as one ---- */

static void
a_checksum_counts_for_its_row_only(void **state)
{
    Bench *b = *state;
    const char *table = own_table(b, "goose_db_version");
    make_ledger(b, FORMAT_GOOSE);
    Migration one = migration(b, FORMAT_GOOSE, "1");
    apply(b, &one);
    sql(b, str_printf(b->arena, "delete from %s where version_id = 1", table));
    reread(b);
    assert_int_equal(b->ledger.rows.n, 0);
    sql(b, str_printf(b->arena, "insert into %s (id, version_id, is_applied) values (77, 1, true)",
                      table));
    reread(b);
    assert_int_equal(b->ledger.rows.n, 1);
    assert_null(row_of(b, "1")->checksum);
    assert_false(row_of(b, "1")->own_row);
    /* Applied there is applied, whatever ours had been doing. */
    OK(b, run_text(b, ledger_sql_begun(b->arena, b->db, &b->ledger, &one, RUN, STR("true"))));
    reread(b);
    assert_int_equal(row_of(b, "1")->state, ROW_APPLIED);
}

static void
formats_do_not_mix(void **state)
{
    Bench *b = *state;
    make_ledger(b, FORMAT_GOOSE);
    Migration one = migration(b, FORMAT_GOOSE, "1");
    apply(b, &one);
    OK(b, run_text(b, ledger_sql_begun(b->arena, b->db, &b->ledger, &one, RUN, STR("true"))));
    make_ledger(b, FORMAT_PLAIN);
    assert_int_equal(b->ledger.rows.n, 0);
    Migration two = migration(b, FORMAT_PLAIN, "2");
    apply(b, &two);
    make_ledger(b, FORMAT_DIESEL);
    assert_int_equal(b->ledger.rows.n, 0);
    make_ledger(b, FORMAT_PLAIN);
    assert_int_equal(b->ledger.rows.n, 1);
}

static void
goose_newest_row_decides(void **state)
{
    Bench *b = *state;
    make_ledger(b, FORMAT_GOOSE);
    const char *table = own_table(b, "goose_db_version");
    sql(b, str_printf(b->arena,
                      "insert into %s (version_id, is_applied) values (3, true), (4, true), "
                      "(3, false), (5, false), (5, true)",
                      table));
    reread(b);
    assert_int_equal(b->ledger.rows.n, 2);
    assert_null(row_of(b, "3"));
    assert_non_null(row_of(b, "4"));
    assert_non_null(row_of(b, "5"));
}

static void
flyway_history(void **state)
{
    Bench *b = *state;
    make_ledger(b, FORMAT_FLYWAY);
    static const char *const rows[] = {
        "0, null, '<< Flyway Schema Creation >>', 'SCHEMA', null, true",
        "1, '1.5', 'base', 'BASELINE', null, true",
        "2, '2', 'a', 'SQL', 1, true",
        "3, '3', 'b', 'SQL', 2, true",
        "4, '3', 'b', 'UNDO_SQL', null, true",
        "5, '4', 'c', 'SQL', 3, true",
        "6, '4', 'c', 'DELETE', null, true",
        "7, null, 'views', 'SQL', 10, true",
        "8, null, 'views', 'SQL', 11, true",
        "9, null, 'gone', 'SQL', 12, true",
        "10, null, 'gone', 'DELETE', null, true",
        "11, '5', 'd', 'SQL', 4, false",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        sql(b, str_printf(b->arena,
                          "insert into %s (installed_rank, version, description, type, "
                          "checksum, success, script, installed_by, execution_time) "
                          "values (%s, 's', 'me', 5)",
                          own_table(b, "flyway_schema_history"), rows[i]));
    reread(b);
    assert_string_equal(b->ledger.baseline, "1.5");
    assert_int_equal(b->ledger.rows.n, 3);
    assert_int_equal(row_of(b, "2")->state, ROW_APPLIED);
    assert_int_equal(row_of(b, "2")->duration_ms, 5);
    assert_string_equal(row_of(b, NULL)->tool_checksum, "11");
    assert_string_equal(row_of(b, NULL)->name, "views");
    assert_int_equal(row_of(b, "5")->state, ROW_FAILED);
    assert_false(row_of(b, "5")->own_row);
}

static void
flyway_repeatables(void **state)
{
    Bench *b = *state;
    make_ledger(b, FORMAT_FLYWAY);
    Migration view = migration(b, FORMAT_FLYWAY, NULL), same = migration(b, FORMAT_FLYWAY, "1");
    apply(b, &same); /* a version with the same description */
    apply(b, &view);
    view.tool_checksum = str_dup(b->arena, STR("5"));
    apply(b, &view);
    reread(b);
    assert_int_equal(b->ledger.rows.n, 2);
    assert_string_equal(row_of(b, NULL)->tool_checksum, "5");
    assert_true(row_of(b, NULL)->own_row);
    assert_string_equal(row_of(b, "1")->tool_checksum, "-133051733");
    assert_scalar(b, "max(installed_rank)", "flyway_schema_history", "3");
}

static void
golang_migrate_adoption(void **state)
{
    Bench *b = *state;
    make_ledger(b, FORMAT_GOLANG_MIGRATE);
    sql(b, str_printf(b->arena, "insert into %s values (5, false)",
                      own_table(b, "schema_migrations")));
    Migration two = migration(b, FORMAT_GOLANG_MIGRATE, "2");
    OK(b, run_text(b, ledger_sql_adopted(b->arena, b->db, &b->ledger, &two, RUN, STR("true"))));
    reread(b);
    assert_string_equal(b->ledger.current, "5");
    assert_int_equal(b->ledger.rows.n, 2);
    assert_true(row_of(b, "2")->own_row);
    assert_false(row_of(b, "2")->foreign_row);
    assert_null(row_of(b, "2")->checksum);
    assert_null(row_of(b, "2")->applied_at);
    sql(b, str_printf(b->arena, "update %s set dirty = true", own_table(b, "schema_migrations")));
    reread(b);
    assert_true(b->ledger.current_dirty);
    assert_int_equal(row_of(b, "5")->state, ROW_FAILED);
    assert_false(row_of(b, "5")->own_row);
    sql(b, str_printf(b->arena, "update %s set version = -1", own_table(b, "schema_migrations")));
    reread(b);
    assert_null(b->ledger.current);
    assert_true(b->ledger.current_dirty);
    assert_int_equal(b->ledger.rows.n, 1);
}

static void
prisma_rows(void **state)
{
    Bench *b = *state;
    make_ledger(b, FORMAT_PRISMA);
    const char *table = own_table(b, "_prisma_migrations");
    /* id, name, finished, rolled back */
    static const char *const rows[] = {
        "'a', '2024_init', '2024-01-01 00:00:00', null",
        "'b', '2025_failed', null, null",
        "'c', '2025_undone', null, '2024-01-01 00:00:00'",
        "'d', '2026_twice', null, '2024-01-01 00:00:00'",
        "'e', '2026_twice', '2024-01-01 00:00:00', null",
        "'f', 'named', '2024-01-01 00:00:00', null",
        "'g', '2027_both', '2024-01-01 00:00:00', null",
        "'h', '2027_both', null, null",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        sql(b, str_printf(b->arena,
                          "insert into %s (id, migration_name, finished_at, rolled_back_at, "
                          "checksum) values (%s, 'c')",
                          table, rows[i]));
    reread(b);
    assert_int_equal(b->ledger.rows.n, 5);
    assert_string_equal(row_of(b, "2024")->id, "2024_init");
    assert_string_equal(row_of(b, "2024")->applied_at, "2024-01-01T00:00:00Z");
    assert_int_equal(row_of(b, "2025")->state, ROW_FAILED);
    assert_false(row_of(b, "2025")->own_row);
    assert_int_equal(row_of(b, "2026")->state, ROW_APPLIED);
    assert_non_null(row_of(b, "named"));
    assert_int_equal(row_of(b, "2027")->state, ROW_FAILED);
    /* Repair marks a failure as rolled back, as `prisma migrate resolve` does. */
    OK(b, run_text(b, ledger_sql_forget(b->arena, b->db, &b->ledger, row_of(b, "2025"))));
    reread(b);
    assert_null(row_of(b, "2025"));
    assert_scalar(b, "count(*)", "_prisma_migrations where id = 'b' and rolled_back_at is not null",
                  "1");
    /* What begins outside a transaction is one row from the start to the end. */
    Migration m = migration(b, FORMAT_PRISMA, "2028_steps");
    OK(b, run_text(b, ledger_sql_begun(b->arena, b->db, &b->ledger, &m, RUN, STR("true"))));
    OK(b, run_text(b, ledger_sql_begun(b->arena, b->db, &b->ledger, &m, RUN, STR("true"))));
    assert_scalar(b, "count(*)",
                  "_prisma_migrations where finished_at is null and rolled_back_at "
                  "is null and migration_name = '2028_steps'",
                  "1");
    apply(b, &m);
    apply(b, &m);
    assert_scalar(b, "count(*)",
                  "_prisma_migrations where finished_at is not null and "
                  "applied_steps_count = 1 and logs is null and length(id) = 36 and "
                  "migration_name = '2028_steps'",
                  "1");
    reread(b);
    assert_true(row_of(b, "2028")->own_row);
    assert_scalar(b, "version", "lockstep_migrations", "2028_steps");
    /* Rolled back by Prisma: what ours knows of its beginning is void, and it begins anew. */
    m = migration(b, FORMAT_PRISMA, "2029_undone");
    OK(b, run_text(b, ledger_sql_begun(b->arena, b->db, &b->ledger, &m, RUN, STR("true"))));
    reread(b);
    assert_int_equal(row_of(b, "2029")->state, ROW_RUNNING);
    sql(b, str_printf(b->arena,
                      "update %s set rolled_back_at = started_at where migration_name = "
                      "'2029_undone'",
                      table));
    reread(b);
    assert_null(row_of(b, "2029"));
    apply(b, &m);
    reread(b);
    assert_true(row_of(b, "2029")->own_row);
    assert_int_equal(row_of(b, "2029")->state, ROW_APPLIED);
}

static void
drizzle_rows(void **state)
{
    Bench *b = *state;
    LedgerSpec spec = spec_of(b, FORMAT_DRIZZLE);
    spec.table = NULL;
    OK(b, ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
    bool schemas = db_has_query(b->db, Q_LEDGER_DRIZZLE_SCHEMA);
    assert_true(str_eq(b->ledger.table_schema, schemas ? STR("drizzle") : b->schema));
    make_ledger(b, FORMAT_DRIZZLE);
    Migration m = migration(b, FORMAT_DRIZZLE, "1700000000000");
    apply(b, &m);
    assert_scalar(b, "created_at", "__drizzle_migrations", "1700000000000");
    assert_scalar(b, "hash", "__drizzle_migrations", m.tool_checksum);
    /* Twice, as starts at the same time leave them. */
    sql(b, str_printf(b->arena, "insert into %s (hash, created_at) values ('x', 1700000000000)",
                      own_table(b, "__drizzle_migrations")));
    reread(b);
    assert_int_equal(b->ledger.rows.n, 1);
    assert_string_equal(row_of(b, "1700000000000")->tool_checksum, "x");
    assert_false(row_of(b, "1700000000000")->own_row);
    sql(b, str_printf(b->arena, "alter table %s add column name text",
                      own_table(b, "__drizzle_migrations")));
    sql(b, str_printf(b->arena, "alter table %s add column applied_at text",
                      own_table(b, "__drizzle_migrations")));
    spec = spec_of(b, FORMAT_DRIZZLE);
    assert_false(ledger_open(b->arena, b->db, &spec, &b->ledger, &b->err));
    assert_int_equal(b->err.code, ERROR_REFUSED);
    assert_non_null(strstr(b->err.message, "Drizzle 1"));
}

/* ---- locks ---- */

static Ledger
locks_of(Bench *b, FormatId format, const char *schema, const char *table, const char *database)
{
    Ledger ledger = {.spec = {.format = format, .database = database},
                     .table_schema = str_of(schema),
                     .table = str_of(table)};
    ledger_tool_locks(b->arena, &ledger);
    return ledger;
}

static void
lock_keys_of_the_tools(void **state)
{
    Bench *b = *state;
    Ledger l = locks_of(b, FORMAT_GOLANG_MIGRATE, "public", "schema_migrations", "coder");
    assert_int_equal(l.locks.n, 2);
    assert_true(l.locks.p[0].key == INT64_C(4187539795));
    l = locks_of(b, FORMAT_GOLANG_MIGRATE, "public", "schema_migrations", "app");
    assert_true(l.locks.p[0].key == INT64_C(1787120056));
    assert_true(l.locks.p[1].key == INT64_C(1726534663));
    assert_string_equal(l.locks.p[0].name, "2938252834");
    l = locks_of(b, FORMAT_FLYWAY, "public", "flyway_schema_history", "app");
    assert_true(l.locks.p[0].key == INT64_C(77433833903597));
    l = locks_of(b, FORMAT_FLYWAY, "public", "schema_version", "app");
    assert_true(l.locks.p[0].key == INT64_C(77430801598678));
    l = locks_of(b, FORMAT_SQLX, "public", "_sqlx_migrations", "matrixauthenticationservice");
    assert_true(l.locks.p[0].key == INT64_C(1881340119163255118));
    l = locks_of(b, FORMAT_SQLX, "public", "_sqlx_migrations", "app");
    assert_true(l.locks.p[0].key == INT64_C(3469795979745788610));
    l = locks_of(b, FORMAT_GOOSE, "public", "x", "app");
    assert_true(l.locks.p[0].key == hash_crc32(0, STR("goose")));
    l = locks_of(b, FORMAT_TERN, "public", "x", "app");
    assert_true(l.locks.p[0].key == INT64_C(9628173550095224));
    l = locks_of(b, FORMAT_PRISMA, "public", "x", "app");
    assert_true(l.locks.p[0].key == 72707369);
    assert_string_equal(l.locks.p[0].name, "prisma_migrate");
    assert_int_equal(locks_of(b, FORMAT_DRIZZLE, "public", "x", "app").locks.n, 0);
    assert_int_equal(locks_of(b, FORMAT_DBMATE, "public", "x", "app").locks.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(goes_forth_and_back),
        TEST(a_lost_leader_writes_nothing),
        TEST(resumes_outside_a_transaction),
        TEST(a_failure_in_a_transaction_leaves_its_mark),
        TEST(works_without_its_own_table),
        TEST(repair_accepts_and_forgets),
        TEST(digest_follows_the_table),
        TEST(tools_own_shapes),
        TEST(refuses_other_owners),
        TEST(probes_for_sqlx),
        TEST(other_names),
        TEST(a_checksum_counts_for_its_row_only),
        TEST(formats_do_not_mix),
        TEST(goose_newest_row_decides),
        TEST(flyway_history),
        TEST(flyway_repeatables),
        TEST(golang_migrate_adoption),
        TEST(prisma_rows),
        TEST(drizzle_rows),
        TEST(lock_keys_of_the_tools),
    };
    const char *const urls[] = {NULL, getenv("LOCKSTEP_TEST_POSTGRES"),
                                getenv("LOCKSTEP_TEST_MYSQL")};
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        if (i > 0 && !urls[i])
            continue;
        test_url = urls[i];
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
