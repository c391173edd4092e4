/* SPDX-License-Identifier: Apache-2.0 */
/* What a file's content means in each format, as its own tool reads it. */

#include "migrate_fixture.h"

#include "core/hash.h"
#include "migrate/formats.h"

#include "core/banned.h"

/* ---- versions ---- */

static int
compare(Arena *arena, FormatId id, const char *a, const char *b)
{
    return strcmp(format_version_id(arena, id, a), format_version_id(arena, id, b));
}

static void
ids_order_versions(void **state)
{
    Fixture *f = *state;
    Arena *a = f->arena;
    assert_int_equal(compare(a, FORMAT_PLAIN, "1", "0001"), 0);
    assert_int_equal(compare(a, FORMAT_PLAIN, "0", "000"), 0);
    assert_true(compare(a, FORMAT_PLAIN, "9", "10") < 0);
    assert_true(compare(a, FORMAT_PLAIN, "99999999999999999999", "100000000000000000000") < 0);
    assert_true(compare(a, FORMAT_PLAIN, "abc", "0") < 0);
    assert_true(compare(a, FORMAT_DBMATE, "10", "2") < 0);
    assert_true(compare(a, FORMAT_DBMATE, "01", "1") != 0);
    assert_int_equal(compare(a, FORMAT_FLYWAY, "1", "1.0.0"), 0);
    assert_int_equal(compare(a, FORMAT_FLYWAY, "1.01", "1.1"), 0);
    assert_true(compare(a, FORMAT_FLYWAY, "1", "1.1") < 0);
    assert_true(compare(a, FORMAT_FLYWAY, "1.1", "1.1.1") < 0);
    assert_true(compare(a, FORMAT_FLYWAY, "1.2", "1.10") < 0);
    assert_true(compare(a, FORMAT_FLYWAY, "1.10.9", "1.10.10") < 0);
    assert_true(compare(a, FORMAT_FLYWAY, "2", "1.999") > 0);
    assert_true(compare(a, FORMAT_FLYWAY, "0", "0.1") < 0);
    assert_true(strcmp(format_version_id(a, FORMAT_FLYWAY, "999999999999"),
                       format_repeatable_id(a, "a")) < 0);
}

/* ---- plain ---- */

static void
plain_files(void **state)
{
    Fixture *f = *state;
    Migration *m = load_text(f, NULL, "1_a.sql", "select 1;\nselect 2");
    assert_int_equal(m->up.statements.n, 2);
    assert_str(statement(&m->up, 1), "select 2");
    assert_int_equal(m->up.statements.p[1].line, 2);
    assert_false(m->up.no_transaction);
    assert_false(m->has_down);
    m = load_text(f, NULL, "1_a.sql", "-- why\n\n--  lockstep: no-transaction \nselect 1;");
    assert_true(m->up.no_transaction);
    m = load_text(f, NULL, "1_a.sql", "select 1;\n-- lockstep: no-transaction\n");
    assert_false(m->up.no_transaction);
    text_refused(f, NULL, "1_a.sql", "-- lockstep: no-transactoin\n", "no-transactoin");
    m = load_text(f, NULL, "1_a.sql", "");
    assert_int_equal(m->up.statements.n, 0);
    m = load_text(f, NULL, "1_a.sql", "-- nothing\n/* yet */\n");
    assert_int_equal(m->up.statements.n, 0);
    clear(f);
    put(f, "1_a.sql", "create table a (x int);");
    put(f, "1_a.down.sql", "-- lockstep: no-transaction\ndrop table a;");
    scan_ok(f, NULL);
    m = load_ok(f, 0);
    assert_true(m->has_down);
    assert_true(m->down.no_transaction);
    assert_false(m->up.no_transaction);
    assert_str(statement(&m->down, 0), "drop table a");
}

static void
text_must_be_clean(void **state)
{
    Fixture *f = *state;
    text_refused(f, NULL, "1_a.sql", "select 1;\nselect '\xff';", "UTF-8");
    assert_int_equal(f->err.line, 2);
    assert_non_null(strstr(f->err.file, "1_a.sql"));
    clear(f);
    put_bytes(f, "1_a.sql", "select\0 1;", 10);
    scan_ok(f, NULL);
    load_refused(f, 0, "NUL");
    text_refused(f, NULL, "1_a.sql", "select 1;\n  copy t from stdin;\n", "COPY FROM STDIN");
    assert_int_equal(f->err.line, 2);
    assert_int_equal(f->err.column, 3);
}

static void
broken_sql_has_a_position(void **state)
{
    Fixture *f = *state;
    f->options.server_major = 15;
    clear(f);
    put(f, "1_a.sql", "-- migrate:up\nselect 1;\n  selec 2;\n-- migrate:down\n");
    scan_ok(f, NULL);
    f->err = ERROR_INIT;
    assert_false(
        migration_load(f->arena, &f->source, &f->source.migrations.p[0], &f->options, &f->err));
    assert_int_equal(f->err.code, ERROR_USAGE);
    assert_int_equal(f->err.line, 3);
    assert_int_equal(f->err.column, 3);
    assert_non_null(strstr(f->err.file, "1_a.sql"));
}

static void
broken_downs_stop_rollbacks_only(void **state)
{
    Fixture *f = *state;
    put(f, "1_a.sql", "select 1;");
    put(f, "1_a.down.sql", "select 1 alter table x;\nselect 'open");
    scan_ok(f, NULL);
    Migration *m = load_ok(f, 0);
    assert_int_equal(m->down.statements.n, 1);
    assert_str(statement(&m->down, 0), "select 1 alter table x;\nselect 'open");
    f->options.undo = true;
    scan_ok(f, NULL);
    f->err = ERROR_INIT;
    assert_false(
        migration_load(f->arena, &f->source, &f->source.migrations.p[0], &f->options, &f->err));
    assert_non_null(strstr(f->err.file, "1_a.down.sql"));
}

static void
checksums_are_blind_to_line_ends(void **state)
{
    Fixture *f = *state;
    char *lf = load_text(f, NULL, "1_a.sql", "select 1;\nselect 2;\n")->checksum;
    assert_string_equal(lf, hash_hex(f->arena, HASH_SHA256, STR("select 1;\nselect 2;\n")));
    assert_string_equal(load_text(f, NULL, "1_a.sql", "select 1;\r\nselect 2;\r\n")->checksum, lf);
    assert_string_equal(
        load_text(f, NULL, "1_a.sql", "\xef\xbb\xbfselect 1;\nselect 2;\n")->checksum, lf);
    assert_string_not_equal(load_text(f, NULL, "1_a.sql", "select 1;\nselect 3;\n")->checksum, lf);
    scan_ok(f, NULL);
    Migration *m = &f->source.migrations.p[0];
    assert_true(migration_hash(f->arena, &f->source, m, &f->options, &f->err));
    assert_non_null(m->checksum);
    assert_false(m->loaded);
}

/* ---- dbmate ---- */

static void
dbmate_files(void **state)
{
    Fixture *f = *state;
    Migration *m = load_text(f, NULL, "1_a.sql",
                             "-- about\n\n--migrate:up\ncreate table a (x int);\n"
                             "-- migrate:down transaction:false\ndrop table a;\n");
    assert_str(m->up.body, "create table a (x int);\n");
    assert_str(m->down.body, "drop table a;\n");
    assert_int_equal(m->up.statements.p[0].line, 4);
    assert_int_equal(m->down.statements.p[0].line, 6);
    assert_false(m->up.no_transaction);
    assert_true(m->down.no_transaction);
    size_t line, column;
    script_position(&m->down, 5, &line, &column);
    assert_int_equal(line, 6);
    assert_int_equal(column, 6);
    m = load_text(f, NULL, "1_a.sql",
                  "-- migrate:up transaction:false\r\nselect 1;\r\n-- migrate:down\r\n");
    assert_true(m->up.no_transaction);
    assert_int_equal(m->up.statements.n, 1);
    assert_true(m->has_down);
    assert_int_equal(m->down.statements.n, 0);
    load_text(f, NULL, "1_a.sql", "-- migrate:up a-remark transaction:true\n-- migrate:down\n");
}

static void
dbmate_refusals(void **state)
{
    Fixture *f = *state;
    static const char *const cases[][2] = {
        {"-- migrate:up\nselect 1;\n", "migrate:down"},
        {"-- migrate:down\n-- migrate:up\n", "before '-- migrate:up'"},
        {"select 1;\n-- migrate:up\n-- migrate:down\n", "SQL before"},
        {" -- migrate:up\n-- migrate:down\n", "before '-- migrate:up'"},
        {" -- migrate:up\nselect 1;\n", "SQL before"},
        {"-- MIGRATE:UP\nselect 1;\n-- migrate:down\n", "SQL before"},
        {"-- migrate:upwards\n", "'-- migrate:up' line"},
        {"", "'-- migrate:up' line"},
        {"-- migrate:up\n-- migrate:down\n-- migrate:up\n", "second '-- migrate:up'"},
        {"-- migrate:up\n-- migrate:down\n-- migrate:down\n", "second '-- migrate:down'"},
        {"-- migrate:up transaction:flase\n-- migrate:down\n", "transaction:flase"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        text_refused(f, "dbmate", "1_a.sql", cases[i][0], cases[i][1]);
}

/* ---- goose ---- */

static void
goose_files(void **state)
{
    Fixture *f = *state;
    Migration *m = load_text(f, NULL, "1_a.sql",
                             "-- +goose Up\n"
                             "-- a remark\n"
                             "CREATE TABLE a (x int);\n"
                             "SELECT 1; SELECT 2;\n"
                             "SELECT 3 -- it; goes\n"
                             "  + 4; -- on\n"
                             "-- +goose StatementBegin\n"
                             "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\n"
                             "BEGIN\n"
                             "  PERFORM 1;\n"
                             "END $$;\n"
                             "-- +goose StatementEnd\n"
                             "-- +goose Down\n"
                             "DROP TABLE a;\n");
    assert_int_equal(m->up.statements.n, 4);
    assert_str(statement(&m->up, 0), "CREATE TABLE a (x int)");
    assert_int_equal(m->up.statements.p[0].line, 3);
    assert_str(statement(&m->up, 1), "SELECT 1; SELECT 2"); /* one chunk, as goose sends it */
    assert_str(statement(&m->up, 2), "SELECT 3 -- it; goes\n  + 4");
    assert_true(str_starts(statement(&m->up, 3), STR("CREATE FUNCTION")));
    assert_true(str_ends(statement(&m->up, 3), STR("END $$")));
    assert_int_equal(m->up.statements.p[3].line, 8);
    assert_int_equal(m->down.statements.n, 1);
    assert_int_equal(m->down.statements.p[0].line, 14);
    m = load_text(f, NULL, "1_a.sql", "-- +goose no transaction\n--+goose UP\nselect 1;\n");
    assert_true(m->up.no_transaction);
    assert_false(m->has_down);
}

static void
goose_refusals(void **state)
{
    Fixture *f = *state;
    static const char *const cases[][2] = {
        {"-- +goose Up\nselect 1;\n  -- +goose Down\nselect 2;\n", "indented"},
        {"-- +goose Up\nselect 1;\n-- +goose Up\nselect 2;\n", "second '-- +goose Up'"},
        {"-- +goose Up\n-- +goose Down\n-- +goose Down\n", "second '-- +goose Down'"},
        {"-- +goose Down\nselect 1;\n-- +goose Up\n", "before '-- +goose Up'"},
        {"-- +goose Up\n-- +goose StatementBegin\nselect 1;\n", "without StatementEnd"},
        {"-- +goose Up\n-- +goose StatementBegin\n-- +goose StatementBegin\n", "StatementBegin"},
        {"-- +goose Up\nselect 1;\n-- +goose StatementEnd\n", "without StatementBegin"},
        {"-- +goose Up\n-- +goose StatementBegin\nselect 1;\n-- +goose Down\n", "StatementBegin"},
        {"-- +goose Up\nselect 1;\nselect 2\n", "no ';'"},
        {"-- +goose Up\nselect 1\n-- +goose Down\nselect 2;\n", "no ';'"},
        {"-- +goose Up\n-- +goose Sideways\n", "unknown annotation"},
        {"-- +goose StatementBegin\n-- +goose Up\n", "before '-- +goose Up'"},
        {"select 1;\n", "no '-- +goose Up'"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        text_refused(f, "goose", "1_a.sql", cases[i][0], cases[i][1]);
    /* Cut at the `;` in the body, as goose does; here before the database sees it. */
    clear(f);
    put(f, "1_a.sql",
        "-- +goose Up\nCREATE FUNCTION f() RETURNS void AS $$\nBEGIN\n  PERFORM 1;\n"
        "END $$ LANGUAGE plpgsql;\n");
    scan_ok(f, NULL);
    f->err = ERROR_INIT;
    assert_false(
        migration_load(f->arena, &f->source, &f->source.migrations.p[0], &f->options, &f->err));
    assert_int_equal(f->err.code, ERROR_USAGE);
}

static const char *
test_env(void *ctx UNUSED, const char *name)
{
    return strcmp(name, "WHO") == 0 ? "bob" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static void
goose_envsub(void **state)
{
    Fixture *f = *state;
    f->options.env = test_env;
    static const char *const cases[][2] = {
        {"select '$WHO';", "select 'bob'"},
        {"select '${WHO}s';", "select 'bobs'"},
        {"select '$NONE-${NONE:-x}-${EMPTY-y}-${EMPTY:-z}';", "select '-x--z'"},
        {"select '${NONE:-${WHO}}';", "select 'bob'"},
        {"select '${WHO?unset}';", "select 'bob'"},
        {"select '$$5 \\$6 $7';", "select '$5 $6 $7'"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = str_printf(f->arena,
                                "-- +goose Up\n-- +goose ENVSUB ON\n%s\n"
                                "-- +goose ENVSUB OFF\nselect '$WHO';\n",
                                cases[i][0]);
        Migration *m = load_text(f, NULL, "1_a.sql", text);
        assert_int_equal(m->up.statements.n, 2);
        assert_str(statement(&m->up, 0), cases[i][1]);
        assert_int_equal(m->up.statements.p[0].line, 3);
        assert_str(statement(&m->up, 1), "select '$WHO'");
    }
    text_refused(f, NULL, "1_a.sql",
                 "-- +goose ENVSUB ON\n-- +goose Up\nselect '${NONE?say it}';\n", "say it");
    assert_int_equal(f->err.line, 3);
    text_refused(f, NULL, "1_a.sql", "-- +goose ENVSUB ON\n-- +goose Up\nselect '${A:1:2}';\n",
                 "not understood");
}

/* ---- tern ---- */

static void
tern_files(void **state)
{
    Fixture *f = *state;
    Migration *m = load_text(f, "tern", "1_a.sql",
                             "create table a (x int);\n---- create above / drop below ----\n"
                             "---- tern: disable-tx ----\ndrop table a;\n");
    assert_str(statement(&m->up, 0), "create table a (x int)");
    assert_str(statement(&m->down, 0), "drop table a");
    assert_int_equal(m->down.statements.p[0].line, 4);
    assert_false(m->up.no_transaction);
    assert_true(m->down.no_transaction);
    m = load_text(f, "tern", "1_a.sql", "select 1;");
    assert_false(m->has_down);
    text_refused(f, "tern", "1_a.sql", "select 1;\nselect {{ if .x }}1{{ end }};", "template");
    assert_int_equal(f->err.line, 2);
    text_refused(f, "tern", "1_a.sql", "select '{{ .prefix | upper }}';", "template");
    text_refused(f, "tern", "1_a.sql", "\n---- create above / drop below ----\nselect 1;",
                 "no SQL");
}

/* ---- flyway ---- */

static void
flyway_checksum_is_one(void **state)
{
    Fixture *f = *state;
    uint32_t crc = hash_crc32(0, STR("select 1;select 2;"));
    const char *want = str_printf(f->arena, "%d", (int32_t)crc);
    static const char *const same[] = {
        "select 1;\nselect 2;",   "select 1;\nselect 2;\n",           "select 1;\r\nselect 2;\r\n",
        "select 1;\rselect 2;\r", "\xef\xbb\xbfselect 1;\nselect 2;",
    };
    for (size_t i = 0; i < COUNT_OF(same); i++)
        assert_string_equal(load_text(f, NULL, "V1__a.sql", same[i])->tool_checksum, want);
    assert_string_equal(load_text(f, NULL, "V1__a.sql", "")->tool_checksum, "0");
}

static void
flyway_placeholders(void **state)
{
    Fixture *f = *state;
    static const char *const values[] = {"schema", "app", "flyway:user", "bob", NULL};
    f->options.placeholders = values;
    Migration *m = load_text(f, NULL, "V1__a.sql",
                             "-- ${SCHEMA}\nselect '${flyway:USER} ${flyway:filename} $x ${';\n"
                             "select 2;");
    assert_str(statement(&m->up, 0), "select 'bob V1__a.sql $x ${'");
    assert_true(m->up.rewritten);
    assert_int_equal(m->up.statements.p[1].line, 3);
    text_refused(f, NULL, "V1__a.sql", "select 1;\n-- ${unknown}\n", "${unknown}");
    assert_int_equal(f->err.line, 2);
    put(f, "V1__a.sql.conf", "# off\nplaceholderReplacement=false\nexecuteInTransaction=false\n");
    scan_ok(f, NULL);
    m = load_ok(f, 0);
    assert_true(m->up.no_transaction);
    assert_false(m->up.rewritten);
    put(f, "V1__a.sql.conf", "shouldExecute=false\n");
    scan_ok(f, NULL);
    load_refused(f, 0, "shouldExecute");
    assert_non_null(strstr(f->err.file, "V1__a.sql.conf"));
    f->options.placeholders_off = true;
    m = load_text(f, NULL, "V1__a.sql", "-- ${unknown}\nselect 1;");
    assert_int_equal(m->up.statements.n, 1);
    f->options.placeholders_off = false;
    /* A repeatable counts with its values in it; the raw one is accepted as well. */
    m = load_text(f, NULL, "R__a.sql", "select '${schema}';");
    assert_string_equal(m->tool_checksum,
                        str_printf(f->arena, "%d", (int32_t)hash_crc32(0, STR("select 'app';"))));
    assert_string_equal(
        m->tool_checksum_also[0],
        str_printf(f->arena, "%d", (int32_t)hash_crc32(0, STR("select '${schema}';"))));
}

/* ---- sqlx, diesel ---- */

static void
sqlx_files(void **state)
{
    Fixture *f = *state;
    Migration *m = load_text(f, "sqlx", "1_add_users.sql", "-- no-transaction\r\nselect 1;\r\n");
    assert_true(m->up.no_transaction);
    assert_string_equal(m->name, "add users");
    assert_string_equal(m->tool_checksum,
                        hash_hex(f->arena, HASH_SHA384, STR("-- no-transaction\r\nselect 1;\r\n")));
    assert_string_equal(m->tool_checksum_also[0],
                        hash_hex(f->arena, HASH_SHA384, STR("-- no-transaction\nselect 1;\n")));
    assert_string_equal(m->tool_checksum_also[1], m->tool_checksum);
    assert_false(load_text(f, "sqlx", "1_a.sql", "\n-- no-transaction\n")->up.no_transaction);
    clear(f);
    put(f, "1_a.up.sql", "select 1;");
    put(f, "1_a.down.sql", "-- no-transaction\nselect 2;");
    scan_ok(f, "sqlx");
    m = load_ok(f, 0);
    assert_true(m->down.no_transaction);
    assert_false(m->up.no_transaction);
}

static void
diesel_metadata(void **state)
{
    Fixture *f = *state;
    put(f, "1_a/up.sql", "select 1;");
    put(f, "1_a/metadata.toml", "# about\n\n run_in_transaction=false # really\n");
    scan_ok(f, NULL);
    assert_true(load_ok(f, 0)->up.no_transaction);
    put(f, "1_a/metadata.toml", "run_in_transaction = true");
    scan_ok(f, NULL);
    assert_false(load_ok(f, 0)->up.no_transaction);
    put(f, "1_a/metadata.toml", "\nrun_in_transaktion = false");
    scan_ok(f, NULL);
    load_refused(f, 0, "run_in_transaktion");
    assert_int_equal(f->err.line, 2);
}

/* ---- prisma, drizzle ---- */

static void
prisma_checksums(void **state)
{
    Fixture *f = *state;
    Migration *m = load_text(f, "prisma", "1_a/migration.sql", "select 1;\r\nselect 2;\r\n");
    assert_int_equal(m->up.statements.n, 2);
    assert_string_equal(m->tool_checksum,
                        hash_hex(f->arena, HASH_SHA256, STR("select 1;\r\nselect 2;\r\n")));
    assert_string_equal(m->tool_checksum_also[0],
                        hash_hex(f->arena, HASH_SHA256, STR("select 1;\nselect 2;\n")));
    assert_false(m->has_down);
}

static void
provider_fits_the_engine(void **state)
{
    Fixture *f = *state;
    static const struct {
        const char *provider;
        SqlDialect dialect;
        bool fits;
    } cases[] = {
        {"postgresql", SQL_POSTGRES, true}, {"cockroachdb", SQL_POSTGRES, true},
        {"mysql", SQL_MYSQL, true},         {"sqlite", SQL_SQLITE, true},
        {"mysql", SQL_POSTGRES, false},     {"postgresql", SQL_SQLITE, false},
        {"sqlserver", SQL_MYSQL, false},    {"", SQL_POSTGRES, false},
    };
    put(f, "1_a/migration.sql", "select 1;");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put(f, "migration_lock.toml",
            str_printf(f->arena, "provider = \"%s\"\n", cases[i].provider));
        f->options.dialect = cases[i].dialect;
        scan_ok(f, NULL);
        if (cases[i].fits)
            load_ok(f, 0);
        else
            load_refused(f, 0, "migration_lock.toml");
    }
}

static void
drizzle_breakpoints(void **state)
{
    Fixture *f = *state;
    static const char text[] = "CREATE TABLE a (id int);--> statement-breakpoint\n"
                               "CREATE TABLE b (id int)\n--> statement-breakpoint\n"
                               "INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)"
                               "--> statement-breakpoint\n\n  DROP TABLE b\n"
                               "--> statement-breakpoint\n";
    static const SqlDialect dialects[] = {SQL_POSTGRES, SQL_MYSQL, SQL_SQLITE};
    put(f, "0000_a.sql", text);
    put(f, "meta/_journal.json", "{\"entries\": [{\"tag\": \"0000_a\", \"when\": 1}]}");
    for (size_t i = 0; i < COUNT_OF(dialects); i++) {
        f->options.dialect = dialects[i];
        scan_ok(f, NULL);
        Migration *m = load_ok(f, 0);
        assert_int_equal(m->up.statements.n, 5);
        assert_str(statement(&m->up, 0), "CREATE TABLE a (id int)");
        assert_str(statement(&m->up, 1), "CREATE TABLE b (id int)");
        assert_int_equal(m->up.statements.p[1].line, 2);
        assert_int_equal(m->up.statements.p[1].column, 1);
        assert_str(statement(&m->up, 3), "INSERT INTO a VALUES (2)");
        assert_int_equal(m->up.statements.p[3].line, 4);
        assert_int_equal(m->up.statements.p[3].column, 27);
        assert_str(statement(&m->up, 4), "DROP TABLE b");
        assert_int_equal(m->up.statements.p[4].line, 6);
        assert_int_equal(m->up.statements.p[4].column, 3);
    }
    assert_string_equal(f->source.migrations.p[0].tool_checksum,
                        hash_hex(f->arena, HASH_SHA256, str_of(text)));
    f->options.dialect = SQL_POSTGRES;
    put(f, "0000_a.sql", "select 1;\nselect 2;--> statement-breakpoint\n  selec 3;");
    scan_ok(f, NULL);
    assert_false(
        migration_load(f->arena, &f->source, &f->source.migrations.p[0], &f->options, &f->err));
    assert_int_equal(f->err.line, 3);
    assert_int_equal(f->err.column, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_order_versions),
        TEST(plain_files),
        TEST(text_must_be_clean),
        TEST(broken_sql_has_a_position),
        TEST(broken_downs_stop_rollbacks_only),
        TEST(checksums_are_blind_to_line_ends),
        TEST(dbmate_files),
        TEST(dbmate_refusals),
        TEST(goose_files),
        TEST(goose_refusals),
        TEST(goose_envsub),
        TEST(tern_files),
        TEST(flyway_checksum_is_one),
        TEST(flyway_placeholders),
        TEST(sqlx_files),
        TEST(diesel_metadata),
        TEST(prisma_checksums),
        TEST(provider_fits_the_engine),
        TEST(drizzle_breakpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
