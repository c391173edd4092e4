/* SPDX-License-Identifier: Apache-2.0 */
/* Files compared with the version table, on SQLite: what is applied, pending, missing, ahead, and
 * what only the table can say. */

#include "tools_fixture.h"

static void
sql(Fixture *f, const char *text)
{
    f->err = ERROR_INIT;
    if (!db_exec_list(f->db, str_of(text), &f->err))
        fail_msg("%s: %s", text, f->err.message);
}

static void
open_database(Fixture *f)
{
    DbUrl url = {.engine = DB_SQLITE, .database = at(f, "app.db"), .display = at(f, "app.db")};
    DbOptions options = {.wait = &f->wait};
    if (!db_connect(f->arena, &url, &options, &f->db, &f->err))
        fail_msg("%s", f->err.message);
}

/* Files by id, "a>b" = b comes after a; in this order. */
static void
have(Fixture *f, const char *list)
{
    char **words;
    assert_true(str_split_words(f->arena, str_of(list), &words));
    f->files = (ToolFiles){.known = true};
    for (size_t i = 0; words[i]; i++) {
        char *mark = strrchr(words[i], '>');
        ToolMigration *m = vec_push(f->arena, &f->files.items);
        *m = (ToolMigration){.id = mark ? mark + 1 : words[i]};
        m->version = m->name = m->id;
        if (mark) {
            *mark = 0;
            *vec_push(f->arena, &m->after) = words[i];
        }
    }
}

static void
look(Fixture *f)
{
    f->err = ERROR_INIT;
    if (!tool_state(f->arena, f->db, &f->project, &f->files, STR_ABSENT, &f->state, &f->err))
        fail_msg("%s", f->err.message);
}

/* "+applied -pending !missing ^ahead" */
static void
expect_state(Fixture *f, const char *expected)
{
    StrBuf text = strbuf_new(f->arena, 65536);
    look(f);
    for (size_t i = 0; i < f->state.applied.n; i++)
        strbuf_printf(&text, " +%s", f->state.applied.p[i].id);
    for (size_t i = 0; i < f->state.pending.n; i++)
        strbuf_printf(&text, " -%s", f->state.pending.p[i]->version);
    for (size_t i = 0; i < f->state.missing.n; i++)
        strbuf_printf(&text, " !%s", f->state.missing.p[i].id);
    for (size_t i = 0; i < f->state.ahead.n; i++)
        strbuf_printf(&text, " ^%s", f->state.ahead.p[i].id);
    assert_string_equal(text.n ? text.p + 1 : "", expected);
    assert_true(f->state.known);
}

static void
expect_trouble(Fixture *f, const char *word, bool blocks)
{
    look(f);
    assert_int_equal(f->state.troubles.n, 1);
    const ToolTrouble *t = &f->state.troubles.p[0];
    if (!strstr(t->what, word))
        fail_msg("'%s' not in '%s'", word, t->what);
    assert_int_equal(t->blocks, blocks);
    assert_non_null(t->repair);
}

static void
expect_repaired(Fixture *f)
{
    sql(f, f->state.troubles.p[0].sql);
    look(f);
    assert_int_equal(f->state.troubles.n, 0);
}

static char *
digest(Fixture *f)
{
    DbResult r;
    Str text = tool_digest_sql(f->arena, f->db, &f->project, STR_ABSENT);
    if (!db_query(f->db, f->arena, text, &r, &f->err))
        return NULL;
    assert_int_equal(r.rows, 1);
    return str_dup(f->arena, r.cells[0]);
}

static int
setup(void **state)
{
    int failed = fixture_setup(state);
    open_database(*state);
    return failed;
}

/* ---- by name ---- */

static void
test_knex(void **state)
{
    Fixture *f = *state;
    use(f, "knex", NULL);
    have(f, "1_a.js 2_b.js 10_c.js");
    expect_state(f, "-1_a.js -2_b.js -10_c.js");
    assert_false(f->state.table_exists);
    assert_null(digest(f));
    f->err = ERROR_INIT;
    sql(f, "create table knex_migrations (id integer primary key, name text, batch int, "
           "migration_time datetime)");
    expect_state(f, "-1_a.js -2_b.js -10_c.js");
    assert_true(f->state.table_exists);
    char *empty = digest(f);
    assert_non_null(empty);
    sql(f, "insert into knex_migrations values (1, '1_a.ts', 1, 1704164645000)");
    expect_state(f, "+1_a.js -2_b.js -10_c.js");
    assert_string_equal(f->state.applied.p[0].applied_at, "2024-01-02T03:04:05Z");
    assert_string_not_equal(digest(f), empty);
    sql(f, "insert into knex_migrations values (2, '3_gone.js', 1, null), (3, '11_new.js', 2, 0)");
    expect_state(f, "+1_a.js -2_b.js -10_c.js !3_gone.js ^11_new.js");
    char *before = digest(f);
    sql(f, "update knex_migrations set migration_time = 5");
    assert_string_equal(digest(f), before);
    f->project.table = "other";
    expect_state(f, "-1_a.js -2_b.js -10_c.js");
    f->files.known = false;
    f->project.table = NULL;
    look(f);
    assert_false(f->state.known);
    assert_int_equal(f->state.applied.n, 3);
    assert_int_equal(f->state.pending.n, 0);
}

static void
test_knex_lock(void **state)
{
    Fixture *f = *state;
    use(f, "knex", NULL);
    have(f, "1_a.js");
    sql(f, "create table knex_migrations (id integer primary key, name text, batch int, "
           "migration_time datetime);\ncreate table knex_migrations_lock (\"index\" integer not "
           "null primary key autoincrement, is_locked int);\ninsert into knex_migrations_lock "
           "(is_locked) values (0)");
    look(f);
    assert_int_equal(f->state.troubles.n, 0);
    sql(f, "update knex_migrations_lock set is_locked = 1");
    expect_trouble(f, "is_locked", true);
    expect_repaired(f);
    sql(f, "insert into knex_migrations_lock (is_locked) values (0), (1)");
    expect_trouble(f, "3 rows", true);
    expect_repaired(f);
}

static void
test_django(void **state)
{
    Fixture *f = *state;
    use(f, "django", NULL);
    have(f, "auth.0001_initial blog.0001_initial blog.0001_squashed blog.0002_post blog.0003_more");
    ToolMigration *squashed = &f->files.items.p[2];
    squashed->replaces = true;
    *vec_push(f->arena, &squashed->replaced) = f->files.items.p[1].id;
    *vec_push(f->arena, &squashed->replaced) = f->files.items.p[3].id;
    expect_state(f, "-auth.0001_initial -blog.0001_squashed -blog.0003_more");
    sql(f, "create table django_migrations (id integer primary key, app text, name text, applied "
           "datetime);\ninsert into django_migrations values (1, 'auth', '0001_initial', "
           "'2024-01-02 03:04:05.678901'), (2, 'gone', '0001_x', null), (3, 'blog', "
           "'0001_initial', null), (4, 'blog', '0001_initial', null)");
    expect_state(f, "+auth.0001_initial +blog.0001_initial +gone.0001_x -blog.0002_post "
                    "-blog.0003_more");
    assert_string_equal(f->state.applied.p[0].applied_at, "2024-01-02T03:04:05Z");
    sql(f, "insert into django_migrations values (5, 'blog', '0002_post', null), (6, 'blog', "
           "'0004_next', null), (7, 'blog', '0002_lost', null)");
    expect_state(f, "+auth.0001_initial +blog.0001_initial +blog.0002_post +gone.0001_x "
                    "-blog.0003_more !blog.0002_lost ^blog.0004_next");
    char *before = digest(f);
    sql(f, "update django_migrations set app = 'blug' where id = 5");
    assert_string_not_equal(digest(f), before);
}

static void
test_shapes(void **state)
{
    Fixture *f = *state;
    use(f, "rails", NULL);
    have(f, "1 20240101000001");
    sql(f, "create table schema_migrations (version varchar primary key);\ninsert into "
           "schema_migrations values ('001')");
    expect_state(f, "+1 -20240101000001");
    sql(f, "drop table schema_migrations;\ncreate table schema_migrations (version bigint, dirty "
           "boolean)");
    expect_trouble(f, "not as Rails", false);
    assert_false(f->state.known);
    assert_false(f->state.table_exists);
    use(f, "db-migrate", NULL);
    have(f, "/1-a /2-b");
    sql(f, "create table migrations (id integer primary key, name text, run_on datetime);\ninsert "
           "into migrations values (1, '/1-a', '2024-01-02 03:04:05')");
    expect_state(f, "+/1-a -/2-b");
    use(f, "postgrator", NULL);
    have(f, "1 2");
    sql(f, "create table schemaversion (version bigint primary key, name text, md5 text, run_at "
           "datetime);\ninsert into schemaversion values (0, null, null, null), (1, 'a', 'x', "
           "null), (3, 'c', 'x', null)");
    expect_state(f, "+1 -2 ^3");
    use(f, "ef-bundle", NULL);
    sql(f,
        "create table \"__EFMigrationsHistory\" (\"MigrationId\" text, \"ProductVersion\" text)");
    assert_non_null(digest(f));
    use(f, "npm", NULL);
    look(f);
    assert_false(f->state.known);
    assert_null(digest(f));
}

/* ---- rows that say more ---- */

static void
test_alembic(void **state)
{
    Fixture *f = *state;
    use(f, "alembic", NULL);
    have(f, "a1 a1>a2 a2>a3 a1>b1");
    *vec_push(f->arena, &f->files.heads) = f->files.items.p[2].id;
    *vec_push(f->arena, &f->files.heads) = f->files.items.p[3].id;
    char *one[] = {(char[]){"alembic"}, (char[]){"upgrade"}, (char[]){"head"}, NULL};
    char *all[] = {(char[]){"alembic"}, (char[]){"upgrade"}, (char[]){"heads"}, NULL};
    f->project.apply = one;
    expect_state(f, "-a1 -a2 -a3 -b1");
    expect_trouble(f, "2 heads", true); /* before there is a table, too */
    sql(f, "create table alembic_version (version_num varchar(32) primary key)");
    expect_state(f, "-a1 -a2 -a3 -b1");
    expect_trouble(f, "2 heads", true);
    f->project.apply = all;
    sql(f, "insert into alembic_version values ('a2')");
    expect_state(f, "+a1 +a2 -a3 -b1");
    assert_int_equal(f->state.troubles.n, 0);
    sql(f, "insert into alembic_version values ('b1')");
    expect_state(f, "+a1 +a2 +b1 -a3");
    assert_int_equal(f->state.troubles.n, 0);
    sql(f, "insert into alembic_version values ('a1')");
    expect_trouble(f, "'a1' beside", true);
    expect_repaired(f);
    expect_state(f, "+a1 +a2 +b1 -a3");
    sql(f, "update alembic_version set version_num = 'zz' where version_num = 'b1'");
    expect_state(f, "+a1 +a2 +a3 +b1 ^zz");
}

static void
test_drizzle(void **state)
{
    Fixture *f = *state;
    use(f, "drizzle", NULL);
    have(f, "100 300 200 400");
    sql(f, "create table __drizzle_migrations (id integer primary key, hash text, created_at "
           "numeric);\ninsert into __drizzle_migrations values (1, 'x', 100), (2, 'y', 300)");
    expect_state(f, "+100 +300 -400");
    expect_trouble(f, "never apply '200'", false);
    sql(f, "insert into __drizzle_migrations values (3, 'x', 500), (4, 'z', 150)");
    expect_state(f, "+100 +300 !150 ^500");
    assert_int_equal(f->state.troubles.n, 2);
}

static void
test_prisma(void **state)
{
    Fixture *f = *state;
    use(f, "prisma", NULL);
    have(f, "1_a 2_b 3_c");
    sql(f, "create table _prisma_migrations (id text primary key, checksum text, finished_at "
           "datetime, migration_name text, logs text, rolled_back_at datetime, started_at "
           "datetime, applied_steps_count int);\ninsert into _prisma_migrations values ('i', 'c', "
           "1704164645000, '1_a', null, null, 1, 1), ('j', 'c', null, '2_b', null, 5, 2, 0)");
    expect_state(f, "+1_a -2_b -3_c");
    assert_string_equal(f->state.applied.p[0].applied_at, "2024-01-02T03:04:05Z");
    assert_int_equal(f->state.troubles.n, 0);
    sql(f, "insert into _prisma_migrations values ('k', 'c', null, '2_b', 'x', null, 3, 0)");
    expect_trouble(f, "P3009", true);
    expect_repaired(f);
    expect_state(f, "+1_a -2_b -3_c");
}

static void
test_locks(void **state)
{
    Fixture *f = *state;
    use(f, "yoyo", NULL);
    have(f, "0001.init");
    sql(f, "create table _yoyo_migration (migration_hash text primary key, migration_id text, "
           "applied_at_utc timestamp);\ncreate table yoyo_lock (locked int primary key, ctime "
           "timestamp, pid int);\ninsert into yoyo_lock values (1, '2024-01-01 00:00:00', 4711)");
    expect_trouble(f, "4711", true);
    expect_repaired(f);
    use(f, "liquibase", NULL);
    f->files = (ToolFiles){0};
    sql(f, "create table databasechangelog (id text, author text, filename text, dateexecuted "
           "datetime);\ncreate table databasechangeloglock (id int primary key, locked boolean, "
           "lockgranted datetime, lockedby text);\ninsert into databasechangeloglock values (1, "
           "1, null, 'web-1')");
    expect_trouble(f, "web-1", true);
    expect_repaired(f);
}

static void
test_hostile_names(void **state)
{
    Fixture *f = *state;
    use(f, "sequelize", NULL);
    have(f, "1-a.js");
    sql(f, "create table \"SequelizeMeta\" (name text primary key);\n"
           "insert into \"SequelizeMeta\" values (''), ('1-a.js'), (''';drop table x;--')");
    look(f);
    assert_int_equal(f->state.applied.n, 1);
    f->project.table = "a\"b'; drop table \"SequelizeMeta\"; --";
    look(f);
    assert_false(f->state.table_exists);
    assert_null(digest(f));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_knex),   TEST(test_knex_lock), TEST(test_django),
        TEST(test_shapes), TEST(test_alembic),   TEST(test_drizzle),
        TEST(test_prisma), TEST(test_locks),     TEST(test_hostile_names),
    };
    return cmocka_run_group_tests_name("tools_state", tests, NULL, NULL);
}
