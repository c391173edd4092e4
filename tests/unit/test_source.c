/* SPDX-License-Identifier: Apache-2.0 */
/* Finding files: which format, which order, what is refused by name. */

#include "migrate_fixture.h"

#include <jansson.h>

#include "core/banned.h"

static const char *
version(const Fixture *f, size_t i)
{
    assert_true(i < f->source.migrations.n);
    return f->source.migrations.p[i].version;
}

/* ---- recognition ---- */

static void
recognises_each_format(void **state)
{
    Fixture *f = *state;
    static const struct {
        const char *name, *text, *format;
    } cases[] = {
        {"001_a.sql", "select 1;", "plain"},
        {"1.sql", "", "plain"},
        {"001_a.sql", "-- migrate:up\n-- migrate:down\n", "dbmate"},
        {"001_a.sql", "--migrate:up\n", "dbmate"},
        {"20240101foo.sql", "-- migrate:up\n-- migrate:down\n", "dbmate"},
        {"001_a.sql", "-- +goose Up\nselect 1;\n", "goose"},
        {"001_a.sql", "--+goose up\nselect 1;\n", "goose"},
        {"001_a.sql", "select 1;\n---- create above / drop below ----\n", "tern"},
        {"1_a.up.sql", "select 1;", "golang-migrate"},
        {"V1__a.sql", "select 1;", "flyway"},
        {"R__a.sql", "select 1;", "flyway"},
        {"below/deep/V1__a.sql", "select 1;", "flyway"},
        {"2024-01-01-000000_a/up.sql", "select 1;", "diesel"},
        {"20240101000000_a/migration.sql", "select 1;", "prisma"},
        {"init/migration.sql", "select 1;", "prisma"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        clear(f);
        put(f, cases[i].name, cases[i].text);
        put(f, "README.md", "hello");
        put(f, ".gitkeep", "");
        put(f, "schema.sql", "-- a dump");
        put(f, "notes/todo.txt", "x");
        scan_ok(f, NULL);
        assert_string_equal(f->source.format_name, cases[i].format);
        assert_int_equal(f->source.migrations.n, 1);
        assert_int_equal(f->source.files, 1);
    }
}

static void
near_markers_are_no_plain_files(void **state)
{
    Fixture *f = *state;
    text_refused(f, NULL, "1_a.sql", "-- MIGRATE:UP\nselect 1;\n-- MIGRATE:DOWN\n", "migrate:up");
    text_refused(f, NULL, "1_a.sql", "  -- migrate:up\nselect 1;\n  -- migrate:down\n",
                 "migrate:up");
    text_refused(f, NULL, "1_a.sql", "  -- +goose Up\nselect 1;\n", "indented");
}

static void
format_by_name_wins(void **state)
{
    Fixture *f = *state;
    put(f, "1_a.sql", "select 1;");
    scan_ok(f, "tern");
    assert_int_equal(f->source.format, FORMAT_TERN);
    scan_ok(f, "auto");
    assert_int_equal(f->source.format, FORMAT_PLAIN);
    assert_false(scan(f, "gose"));
    assert_int_equal(f->err.code, ERROR_USAGE);
    assert_non_null(strstr(f->err.hint, "goose"));
}

static void
tables_decide_between_equal_files(void **state)
{
    Fixture *f = *state;
    put(f, "1_a.sql", "select 1;");
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_PLAIN);
    f->options.sqlx_table_exists = true;
    assert_true(source_settle(f->arena, &f->source, &f->options, &f->err));
    assert_int_equal(f->source.format, FORMAT_SQLX);
    f->options.sqlx_table_exists = false;
    f->options.tern_table_exists = true;
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_TERN);
    f->options.sqlx_table_exists = true;
    scan_refused(f, NULL, "both tern and sqlx");
    f->options.tern_table_exists = false;
    clear(f);
    put(f, "1_a.up.sql", "select 1;");
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_SQLX);
    scan_ok(f, "plain");
    assert_true(source_settle(f->arena, &f->source, &f->options, &f->err));
    assert_int_equal(f->source.format, FORMAT_PLAIN);
}

static void
two_formats_are_refused(void **state)
{
    Fixture *f = *state;
    static const char *const pairs[][4] = {
        {"1_a.sql", "select 1;", "2_b.up.sql", "select 2;"},
        {"1_a.sql", "select 1;", "V2__b.sql", "select 2;"},
        {"1_a.sql", "select 1;", "2_b/up.sql", "select 2;"},
        {"1_a.sql", "select 1;", "2_b.sql", "-- migrate:up\n-- migrate:down\n"},
        {"1_a.sql", "-- +goose Up\n", "2_b.sql", "-- migrate:up\n-- migrate:down\n"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        clear(f);
        put(f, pairs[i][0], pairs[i][1]);
        put(f, pairs[i][2], pairs[i][3]);
        scan_refused(f, NULL, "directory of two formats");
        assert_non_null(strstr(f->err.message, pairs[i][0]));
        assert_non_null(strstr(f->err.message, i == 2 ? "2_b" : pairs[i][2]));
    }
    /* In the middle it is noticed when the file is opened. */
    clear(f);
    put(f, "1_a.sql", "select 1;");
    put(f, "2_b.sql", "\n-- +goose Up\nselect 1;");
    put(f, "3_c.sql", "select 3;");
    scan_ok(f, NULL);
    load_ok(f, 0);
    load_refused(f, 1, "directory of two formats");
    assert_non_null(strstr(f->err.message, "1_a.sql"));
    assert_non_null(strstr(f->err.message, "2_b.sql"));
    assert_int_equal(f->err.line, 2);
}

static void
unknown_names_are_refused(void **state)
{
    Fixture *f = *state;
    put(f, "V0001.Initial_Schema.up.sql", "select 1;");
    scan_refused(f, NULL, "V0001.Initial_Schema.up.sql");
    assert_non_null(strstr(f->err.hint, "V1.2__name.sql"));
    clear(f);
    put(f, "1_a.sql", "select 1;");
    put(f, "add_users.sql", "select 1;");
    scan_refused(f, NULL, "add_users.sql");
    clear(f);
    put(f, "1_a.SQL", "select 1;");
    scan_refused(f, NULL, "1_a.SQL");
    clear(f);
    put(f, "1_a.sql", "select 1;");
    put(f, "2b.sql", "select 1;");
    scan_refused(f, NULL, "2b.sql");
}

static void
other_tools_are_named(void **state)
{
    Fixture *f = *state;
    put(f, "20240101000000_a/migration.sql", "select 1;");
    put(f, "20240101000000_a/snapshot.json", "{}");
    scan_refused(f, NULL, "Drizzle 1");
    put(f, "migration_lock.toml", "provider = \"postgresql\"\n");
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_PRISMA);
}

/* ---- directories ---- */

static void
missing_and_empty_directories(void **state)
{
    Fixture *f = *state;
    scan_ok(f, NULL);
    assert_int_equal(f->source.files, 0);
    assert_non_null(f->source.dir);
    scan_refused(f, "dbmate", "no migrations");
    scan_refused(f, "tern", "no migrations");
    f->options.may_be_empty = true;
    scan_ok(f, "dbmate");
    f->options.dir = "/nonexistent/lockstep";
    scan_refused(f, NULL, "not there");
    put(f, "file", "");
    f->options.dir = fs_join(f->arena, f->dir, "file");
    scan_refused(f, NULL, "not a directory");
}

static void
default_directories_in_order(void **state)
{
    Fixture *f = *state;
    char *before = getcwd(NULL, 0);
    assert_non_null(before);
    assert_int_equal(chdir(f->dir), 0);
    f->options.dir = NULL;
    scan_ok(f, NULL);
    assert_null(f->source.dir);
    assert_int_equal(f->source.files, 0);
    put(f, "migrations/versions/a.py", "");
    put(f, "drizzle/20240101000000_a/migration.sql", "select 1;");
    put(f, "drizzle/20240101000000_a/snapshot.json", "{}");
    scan_ok(f, NULL);
    assert_null(f->source.dir);
    put(f, "sql/migrations/.gitkeep", "");
    scan_ok(f, NULL);
    assert_string_equal(f->source.dir, "sql/migrations");
    assert_int_equal(f->source.files, 0);
    remove_tree(f->arena, fs_join(f->arena, f->dir, "drizzle"));
    put(f, "drizzle/0000_a.sql", "select 1;");
    put(f, "drizzle/meta/_journal.json", "{\"entries\": [{\"tag\": \"0000_a\", \"when\": 5}]}");
    scan_ok(f, NULL);
    assert_string_equal(f->source.dir, "drizzle");
    put(f, "prisma/migrations/20240101_a/migration.sql", "select 1;");
    scan_ok(f, NULL);
    assert_string_equal(f->source.dir, "prisma/migrations");
    assert_int_equal(f->source.format, FORMAT_PRISMA);
    put(f, "database/migrations/1_a.sql", "select 1;");
    scan_ok(f, NULL);
    assert_string_equal(f->source.dir, "database/migrations");
    assert_string_equal(f->source.migrations.p[0].path, "database/migrations/1_a.sql");
    put(f, "db/migrations/1_a.sql", "select 1;");
    scan_ok(f, NULL);
    assert_string_equal(f->source.dir, "db/migrations");
    assert_int_equal(chdir(before), 0);
    free(before);
}

static void
links_and_odd_files(void **state)
{
    Fixture *f = *state;
    char *link = fs_join(f->arena, f->dir, "2_b.sql");
    put(f, "1_a.sql", "select 1;");
    assert_int_equal(symlink("/etc/passwd", link), 0);
    scan_refused(f, NULL, "leaves the directory");
    assert_non_null(strstr(f->err.message, "2_b.sql"));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("nowhere.sql", link), 0);
    scan_refused(f, NULL, "link to nothing");
    assert_int_equal(unlink(link), 0);
    /* As a Kubernetes volume has them. */
    put(f, "..2024_01/2_b.sql", "select 2;");
    assert_int_equal(symlink("..2024_01", fs_join(f->arena, f->dir, "..data")), 0);
    assert_int_equal(symlink("..data/2_b.sql", link), 0);
    scan_ok(f, NULL);
    assert_int_equal(f->source.migrations.n, 2);
    assert_int_equal(mkdir(fs_join(f->arena, f->dir, "3_c.sql"), 0755), 0);
    scan_refused(f, NULL, "is a directory");
    assert_non_null(strstr(f->err.message, "3_c.sql"));
}

static void
digest_follows_names_sizes_times(void **state)
{
    Fixture *f = *state;
    put(f, "1_a.sql", "select 1;");
    put(f, "1_a.down.sql", "select 1;");
    scan_ok(f, NULL);
    char *first = f->source.stat_digest;
    scan_ok(f, NULL);
    assert_string_equal(first, f->source.stat_digest);
    put(f, "README.md", "not ours");
    scan_ok(f, NULL);
    assert_string_equal(first, f->source.stat_digest);
    put(f, "1_a.down.sql", "select 22;");
    scan_ok(f, NULL);
    assert_string_not_equal(first, f->source.stat_digest);
}

/* ---- order and duplicates ---- */

static void
plain_versions_are_numbers_of_any_length(void **state)
{
    Fixture *f = *state;
    put(f, "10-b.sql", "");
    put(f, "009.a.sql", "");
    put(f, "9999999999999999999999999999_z.sql", "");
    put(f, "11.sql", "");
    put(f, "11.down.sql", "");
    scan_ok(f, NULL);
    assert_string_equal(version(f, 0), "009");
    assert_string_equal(f->source.migrations.p[0].name, "a");
    assert_string_equal(version(f, 1), "10");
    assert_string_equal(version(f, 2), "11");
    assert_non_null(f->source.migrations.p[2].down_path);
    assert_string_equal(version(f, 3), "9999999999999999999999999999");
    put(f, "9_again.sql", "");
    scan_refused(f, NULL, "same version");
    assert_non_null(strstr(f->err.message, "9_again.sql"));
    assert_non_null(strstr(f->err.message, "009.a.sql"));
    clear(f);
    put(f, "1_a.sql", "");
    put(f, "2_b.down.sql", "");
    scan_refused(f, NULL, "2_b.down.sql");
    assert_int_equal(unlink(fs_join(f->arena, f->dir, "1_a.sql")), 0);
    scan_refused(f, NULL, "2_b.down.sql");
}

static void
dbmate_goes_by_file_name(void **state)
{
    Fixture *f = *state;
    put(f, "10_b.sql", "-- migrate:up\n-- migrate:down\n");
    put(f, "2_a.sql", "-- migrate:up\n-- migrate:down\n");
    scan_ok(f, NULL);
    assert_string_equal(version(f, 0), "10");
    assert_string_equal(version(f, 1), "2");
    put(f, "01_c.sql", "");
    put(f, "1.sql", "");
    scan_ok(f, "dbmate");
    put(f, "1_c.sql", ""); /* not beside 1.sql in byte order: 10_b.sql is between */
    scan_refused(f, "dbmate", "same version");
}

static void
golang_migrate_names(void **state)
{
    Fixture *f = *state;
    put(f, "0001_a.up.sql", "");
    put(f, "1_b.up.sql", "");
    scan_refused(f, NULL, "same version");
    clear(f);
    put(f, "0010_j.up.sql", "");
    put(f, "0009_i.up.sql", "");
    put(f, "0009_i.down.sql", "");
    put(f, "0011_only.down.sql", "");
    scan_ok(f, NULL);
    assert_string_equal(version(f, 0), "9");
    assert_string_equal(version(f, 1), "10");
    assert_string_equal(version(f, 2), "11");
    assert_false(f->source.migrations.p[2].has_up);
    Migration *m = load_ok(f, 2);
    assert_int_equal(m->up.statements.n, 0);
    assert_true(m->has_down);
    put(f, "create.up.sql", "");
    scan_refused(f, NULL, "create.up.sql");
    clear(f);
    put(f, "9223372036854775808_big.up.sql", "");
    scan_refused(f, NULL, "too big");
}

static void
goose_names(void **state)
{
    Fixture *f = *state;
    put(f, "00010_j.sql", "-- +goose Up\n");
    put(f, "00009_i.sql", "-- +goose Up\n");
    put(f, "embed.go", "package x");
    put(f, "00009_i_test.go", "package x");
    scan_ok(f, NULL);
    assert_string_equal(version(f, 0), "9");
    put(f, "00011_k.go", "package x");
    scan_refused(f, NULL, "written in Go");
    clear(f);
    put(f, "0_a.sql", "-- +goose Up\n");
    scan_refused(f, NULL, "begins at 1");
    clear(f);
    put(f, "1_a.sql", "-- +goose Up\n");
    put(f, "seed_more.sql", "-- +goose Up\n");
    scan_refused(f, NULL, "seed_more.sql");
}

static void
tern_counts_without_gap(void **state)
{
    Fixture *f = *state;
    put(f, "001_a.sql", "select 1;\n---- create above / drop below ----\n");
    put(f, "002_b.sql", "select 2;");
    put(f, "shared/part.sql", "select 3;");
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_TERN);
    assert_string_equal(version(f, 1), "2");
    put(f, "004_d.sql", "select 4;");
    scan_refused(f, NULL, "version 3 is missing");
    clear(f);
    put(f, "1_a.sql", "");
    put(f, "01_b.sql", "");
    scan_refused(f, "tern", "same version");
}

static void
flyway_names(void **state)
{
    Fixture *f = *state;
    put(f, "V1__a.sql", "");
    put(f, "V1.0__b.sql", "");
    scan_refused(f, NULL, "same version");
    clear(f);
    put(f, "V1_1__a.sql", "");
    put(f, "sub/V1.1__b.sql", "");
    scan_refused(f, NULL, "same version");
    clear(f);
    put(f, "V2__b.sql", "");
    put(f, "V10__c_d.sql", "");
    put(f, "V1_1__a.sql", "");
    put(f, "V1.0.5__x.sql", "");
    put(f, "U1.1__a.sql", "");
    put(f, "R__zz.sql", "");
    put(f, "sub/R__aa bb.sql", "");
    put(f, ".hidden/V1_1__a.sql", "");
    scan_ok(f, NULL);
    assert_int_equal(f->source.migrations.n, 6);
    assert_string_equal(version(f, 0), "1.0.5");
    assert_string_equal(version(f, 1), "1.1");
    assert_non_null(f->source.migrations.p[1].down_path);
    assert_string_equal(version(f, 2), "2");
    assert_string_equal(version(f, 3), "10");
    assert_string_equal(f->source.migrations.p[3].name, "c d");
    assert_null(version(f, 4));
    assert_true(f->source.migrations.p[4].repeatable);
    assert_string_equal(f->source.migrations.p[4].name, "aa bb");
    assert_string_equal(f->source.migrations.p[4].script, "sub/R__aa bb.sql");
    static const char *const refusals[] = {
        "beforeMigrate.sql", "afterMigrate__x.sql", "B3__base.sql", "V4__x.java",   "V5_x.sql",
        "v6__x.sql",         "helper.sql",          "V7__.sql",     "sub/V8.x.sql",
    };
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        put(f, refusals[i], "");
        scan_refused(f, NULL, refusals[i]);
        assert_int_equal(unlink(fs_join(f->arena, f->dir, refusals[i])), 0);
    }
    put(f, "U77__none.sql", "");
    scan_refused(f, NULL, "U77__none.sql");
}

static void
diesel_folders(void **state)
{
    Fixture *f = *state;
    put(f, "2019-11-15-182353_Add email notifications/up.sql", "");
    put(f, "2019-11-15-182353_Add email notifications/down.sql", "");
    put(f, "20191115-000000_first/up.sql", "");
    put(f, "00000000000000_setup/up.sql", "");
    put(f, "helpers/readme.txt", "");
    scan_ok(f, NULL);
    assert_int_equal(f->source.migrations.n, 3);
    assert_string_equal(version(f, 1), "20191115000000");
    assert_string_equal(version(f, 2), "20191115182353");
    assert_string_equal(f->source.migrations.p[2].name, "Add email notifications");
    assert_non_null(f->source.migrations.p[2].down_path);
    put(f, "2020_x/down.sql", "");
    scan_refused(f, "diesel", "no up.sql");
    clear(f);
    put(f, "1_a/up.sql", "");
    put(f, "setup/up.sql", "");
    scan_refused(f, NULL, "setup");
    clear(f);
    put(f, "1_a/up.sql", "");
    put(f, "2_b.sql", "");
    scan_refused(f, "diesel", "2_b.sql");
}

/* ---- new ---- */

/* ---- prisma ---- */

static void
prisma_folders(void **state)
{
    Fixture *f = *state;
    put(f, "migration_lock.toml", "# Please do not edit\r\nprovider = \"postgresql\"\r\n");
    put(f, "20240102000000_b/migration.sql", "select 2;");
    put(f, "20240101000000_a/migration.sql", "select 1;");
    put(f, "20240101000000_b/migration.sql", "select 1;");
    put(f, "0_init/migration.sql", "select 0;");
    put(f, "later/migration.sql", "select 3;");
    put(f, "notes/README.md", "x");
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_PRISMA);
    assert_int_equal(f->source.migrations.n, 5);
    static const char *const expected[][3] = {
        {"0", "init", "0_init"},
        {"20240101000000", "a", "20240101000000_a"},
        {"20240101000000", "b", "20240101000000_b"},
        {"20240102000000", "b", "20240102000000_b"},
        {"later", "later", "later"},
    };
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_string_equal(version(f, i), expected[i][0]);
        assert_string_equal(f->source.migrations.p[i].name, expected[i][1]);
        assert_string_equal(f->source.migrations.p[i].id, expected[i][2]);
    }
    assert_string_equal(f->source.provider, "postgresql");
    assert_ptr_equal(source_find(&f->source, "20240101000000_b"), &f->source.migrations.p[2]);
    assert_ptr_equal(source_find(&f->source, "20240101000000"), &f->source.migrations.p[1]);
    assert_ptr_equal(source_find(&f->source, "a"), &f->source.migrations.p[1]);
    assert_null(source_find(&f->source, "b"));
    put(f, "20240103_c/README.md", "");
    scan_refused(f, NULL, "no migration.sql");
    clear(f);
    put(f, "20240101000000_a/migration.sql", "select 1;");
    put(f, "20240102000000_b.sql", "select 1;");
    scan_refused(f, "prisma", "20240102000000_b.sql");
    scan_refused(f, NULL, "directory of two formats");
    put(f, "migration_lock.toml", "provider = \"mysql\"");
    scan_refused(f, NULL, "beside prisma's folders");
    clear(f);
    put(f, "migration_lock.toml", "provider = \"mysql\"");
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_PRISMA);
    put(f, "migration_lock.toml", "");
    scan_refused(f, NULL, "names no provider");
}

/* ---- drizzle ---- */

static void
journal(Fixture *f, const char *entries)
{
    put(f, "meta/_journal.json",
        str_printf(f->arena, "{\"version\": \"7\", \"dialect\": \"postgresql\", \"entries\": [%s]}",
                   entries));
}

#define ENTRY(tag, when) "{\"tag\": \"" tag "\", \"when\": " when ", \"breakpoints\": true}"

static void
drizzle_journal(void **state)
{
    Fixture *f = *state;
    put(f, "0000_one.sql", "select 1;");
    put(f, "0001_two.sql", "select 2;");
    put(f, "0002_three.sql", "select 3;");
    put(f, "meta/0000_snapshot.json", "{}");
    /* The order is the journal's, whatever the times say. */
    journal(f, ENTRY("0000_one", "1700000000000") ", " ENTRY(
                   "0002_three", "1700000000900") ", " ENTRY("0001_two", "1700000000500"));
    scan_ok(f, NULL);
    assert_int_equal(f->source.format, FORMAT_DRIZZLE);
    assert_int_equal(f->source.files, 3);
    assert_string_equal(version(f, 0), "1700000000000");
    assert_string_equal(f->source.migrations.p[1].name, "0002_three");
    assert_string_equal(version(f, 2), "1700000000500");
    assert_ptr_equal(source_find(&f->source, "0001_two"), &f->source.migrations.p[2]);
    assert_string_equal(f->source.provider, "postgresql");
    char *first = f->source.stat_digest;
    Source looked;
    assert_true(source_look(f->arena, &f->options, &looked, &f->err));
    assert_string_equal(looked.stat_digest, first);
    assert_int_equal(looked.files, 3);
    journal(f, ENTRY("0000_one", "1700000000000"));
    scan_refused(f, NULL, "0001_two.sql");
    assert_true(source_look(f->arena, &f->options, &looked, &f->err));
    assert_string_not_equal(looked.stat_digest, first);
    static const char *const refusals[][2] = {
        {ENTRY("0000_one", "1") ", " ENTRY("0009_nine", "2"), "0009_nine.sql"},
        {ENTRY("0000_one", "1") ", " ENTRY("0001_two", "1") ", " ENTRY("0002_three", "3"),
         "same version"},
        {ENTRY("0000_one", "1") ", " ENTRY("0000_one", "2"), "named before"},
        {ENTRY("0000_one", "1") ", " ENTRY("../0001_two", "2"), "entry 2"},
        {ENTRY("0000_one", "1") ", " ENTRY("", "2"), "entry 2"},
        {ENTRY("0000_one", "1.5"), "entry 1"},
        {ENTRY("0000_one", "-1"), "entry 1"},
        {ENTRY("0000_one", "\"1\""), "entry 1"},
        {"7", "entry 1"},
        {"<<<<<<< HEAD", "not valid JSON"},
        {"\"\\u0000\"", "not valid JSON"},
    };
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        journal(f, refusals[i][0]);
        scan_refused(f, NULL, refusals[i][1]);
    }
    static const char *const none[] = {"[]", "7", "{}", "{\"entries\": {}}", "{\"entries\": null}"};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        put(f, "meta/_journal.json", none[i]);
        scan_refused(f, NULL, i == 1 ? "not valid JSON" : "no list of");
    }
    put(f, "meta/_journal.json", "");
    scan_refused(f, NULL, "not valid JSON");
    clear(f);
    put(f, "0000_one.sql", "select 1;");
    scan_refused(f, "drizzle", "_journal.json");
}

static void
makes_the_next_file(void **state)
{
    Fixture *f = *state;
    static const struct {
        const char *format, *there, *text, *made, *down;
    } cases[] = {
        {"goose", "00009_i.sql", "-- +goose Up\n", "00010_Add_users.sql", NULL},
        {"golang-migrate", "000001_a.up.sql", "", "000002_Add_users.up.sql",
         "000002_Add_users.down.sql"},
        {"tern", "001_a.sql", "select 1;", "002_Add_users.sql", NULL},
        {"flyway", "V1.9__a.sql", "", "V1.10__Add_users.sql", NULL},
        {"plain", "99999999999999_a.sql", "", "100000000000000_Add_users.sql", NULL},
        {"prisma", "99990101000000_a/migration.sql", "", "99990101000001_Add_users/migration.sql",
         NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char **paths;
        clear(f);
        put(f, cases[i].there, cases[i].text);
        scan_ok(f, cases[i].format);
        assert_true(source_new(f->arena, &f->source, f->dir, " Add users! ", &paths, &f->err));
        assert_string_equal(paths[0], fs_join(f->arena, f->dir, cases[i].made));
        if (cases[i].down)
            assert_string_equal(paths[1], fs_join(f->arena, f->dir, cases[i].down));
        else
            assert_null(paths[1]);
        scan_ok(f, cases[i].format);
        assert_int_equal(f->source.migrations.n, 2);
    }
}

static void
makes_the_first_file(void **state)
{
    Fixture *f = *state;
    for (const char *const *name = format_names(); *name; name++) {
        char **paths;
        clear(f);
        f->options.may_be_empty = true;
        scan_ok(f, *name);
        if (strcmp(*name, "drizzle") == 0) {
            refused(f, source_new(f->arena, &f->source, f->dir, "first", &paths, &f->err),
                    "drizzle-kit");
            continue;
        }
        assert_true(source_new(f->arena, &f->source, f->dir, "first", &paths, &f->err));
        scan_ok(f, *name);
        assert_int_equal(f->source.migrations.n, 1);
        if (strcmp(*name, "sqlx") != 0) /* plain's files, told by the table */
            scan_ok(f, NULL);
        assert_int_equal(f->source.migrations.n, 1);
        load_ok(f, 0);
        assert_false(source_new(f->arena, &f->source, f->dir, "???", &paths, &f->err));
        assert_int_equal(f->err.code, ERROR_USAGE);
    }
}

static void
plain_new_is_a_time_and_keeps_pairs(void **state)
{
    Fixture *f = *state;
    char **paths;
    put(f, "001_a.sql", "");
    put(f, "001_a.down.sql", "");
    scan_ok(f, NULL);
    assert_true(source_new(f->arena, &f->source, f->dir, "b", &paths, &f->err));
    assert_non_null(paths[1]);
    scan_ok(f, NULL);
    assert_int_equal(strlen(version(f, 1)), 14);
    assert_non_null(f->source.migrations.p[1].down_path);
    /* A second one in the same second gets the next number. */
    assert_true(source_new(f->arena, &f->source, f->dir, "c", &paths, &f->err));
    scan_ok(f, NULL);
    assert_int_equal(f->source.migrations.n, 3);
}

/* ---- real histories ---- */

static SqlDialect
dialect_of(const char *name)
{
    return strcmp(name, "mysql") == 0    ? SQL_MYSQL
           : strcmp(name, "sqlite") == 0 ? SQL_SQLITE
                                         : SQL_POSTGRES;
}

static void
replay(Fixture *f, const char *corpora, const char *name, const char *format)
{
    char *base = fs_join(f->arena, corpora, name);
    json_error_t why;
    json_t *meta = json_load_file(fs_join(f->arena, base, "META.json"), 0, &why);
    assert_non_null(meta);
    f->options.dir = fs_join(f->arena, base, "migrations");
    f->options.dialect = dialect_of(json_string_value(json_object_get(meta, "dialect")));
    scan_ok(f, strcmp(format, "sqlx") == 0 ? format : NULL);
    assert_string_equal(f->source.format_name, format);
    json_t *order = json_object_get(meta, "order"), *out = json_object_get(meta, "no_transaction");
    assert_int_equal(f->source.migrations.n, json_array_size(order));
    size_t outside = 0;
    for (size_t i = 0; i < f->source.migrations.n; i++) {
        Migration *m = load_ok(f, i);
        const char *file = json_string_value(json_array_get(order, i));
        assert_string_equal(m->script, file);
        bool alone = m->up.no_transaction;
        for (size_t k = 0; k < m->up.statements.n; k++)
            alone |= m->up.statements.p[k].no_transaction;
        outside += alone;
    }
    if (f->options.dialect == SQL_POSTGRES)
        assert_true(outside >= json_array_size(out));
    json_decref(meta);
}

static void
reads_real_histories(void **state)
{
    Fixture *f = *state;
    const char *corpora = getenv("LOCKSTEP_CORPORA");
    static const char *const histories[][2] = {
        {"cloak", "dbmate"},
        {"hatchet/postgres", "goose"},
        {"cwa-server/postgres", "flyway"},
        {"crates-io/postgres", "diesel"},
        {"vaultwarden/postgres", "diesel"},
        {"vaultwarden/mysql", "diesel"},
        {"vaultwarden/sqlite", "diesel"},
        {"matrix-auth/postgres", "sqlx"},
    };
    if (!corpora)
        skip();
    for (size_t i = 0; i < COUNT_OF(histories); i++)
        replay(f, corpora, histories[i][0], histories[i][1]);
    static const char *const refusals[][2] = {
        {"gitness/postgres/migrations", "same version"},
        {"gitness/sqlite/migrations", "same version"},
        {"authelia/postgres/migrations", "V0001.Initial_Schema"},
        {"authelia/mysql/migrations", "V0001.Initial_Schema"},
    };
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        f->options.dir = fs_join(f->arena, corpora, refusals[i][0]);
        scan_refused(f, NULL, refusals[i][1]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(recognises_each_format),
        TEST(near_markers_are_no_plain_files),
        TEST(format_by_name_wins),
        TEST(tables_decide_between_equal_files),
        TEST(two_formats_are_refused),
        TEST(unknown_names_are_refused),
        TEST(other_tools_are_named),
        TEST(missing_and_empty_directories),
        TEST(default_directories_in_order),
        TEST(links_and_odd_files),
        TEST(digest_follows_names_sizes_times),
        TEST(plain_versions_are_numbers_of_any_length),
        TEST(dbmate_goes_by_file_name),
        TEST(golang_migrate_names),
        TEST(goose_names),
        TEST(tern_counts_without_gap),
        TEST(flyway_names),
        TEST(diesel_folders),
        TEST(prisma_folders),
        TEST(drizzle_journal),
        TEST(makes_the_next_file),
        TEST(makes_the_first_file),
        TEST(plain_new_is_a_time_and_keeps_pairs),
        TEST(reads_real_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
