/* SPDX-License-Identifier: Apache-2.0 */
/* Which starts roll back, from what is applied and from the tool's row. */

#include "tools_fixture.h"

static char *prefix[] = {(char[]){"tool"}, NULL};

/* "a b>c": applied, c directly after b; the tool starts as `tool APPLY extra`. */
static void
applied(Fixture *f, const char *tool, const char *list)
{
    char **words;
    use(f, tool, NULL);
    f->project.prefix = prefix;
    f->project.apply = prefix;
    f->files = (ToolFiles){.known = true};
    f->state = (ToolState){.known = true, .table_exists = true, .files = &f->files};
    assert_true(str_split_words(f->arena, str_of(list), &words));
    for (size_t i = 0; words[i]; i++) {
        char *mark = strrchr(words[i], '>');
        ToolMigration *m = vec_push(f->arena, &f->files.items);
        *m = (ToolMigration){.id = mark ? mark + 1 : words[i]};
        m->version = m->name = m->id;
        if (mark) {
            *mark = 0;
            *vec_push(f->arena, &m->after) = words[i];
        }
        *vec_push(f->arena, &f->state.applied) = (ToolRow){.id = m->version, .name = m->name};
    }
}

/* The starts, with "; " between them. */
static char *
starts(Fixture *f, int64_t steps, const char *to)
{
    ToolUndo undo;
    StrBuf text = strbuf_new(f->arena, 4096);
    f->err = ERROR_INIT;
    if (!tool_undo(f->arena, &f->project, &f->state, steps, to, &undo, &f->err))
        return str_printf(f->arena, "%d: %s", f->err.code == ERROR_USAGE ? 2 : 6, f->err.message);
    for (size_t i = 0; i < undo.starts.n; i++)
        for (char **word = undo.starts.p[i]; *word; word++)
            strbuf_printf(&text, "%s%s", word > undo.starts.p[i] ? " " : i ? "; " : "", *word);
    return str_dup(f->arena, text.n ? strbuf_str(&text) : STR(""));
}

static void
test_counts_and_targets(void **state)
{
    Fixture *f = *state;
    applied(f, "rails", "1 2 3");
    assert_string_equal(starts(f, 2, NULL), "tool db:rollback STEP=2");
    assert_string_equal(starts(f, 9, NULL), "tool db:rollback STEP=3");
    assert_string_equal(starts(f, 1, "1"), "tool db:rollback STEP=2");
    assert_string_equal(starts(f, 1, "3"), "");
    applied(f, "knex", "1_a 2_b 3_c");
    assert_string_equal(starts(f, 1, "2"), "tool migrate:down");
    assert_string_equal(starts(f, 1, "0"),
                        "tool migrate:down; tool migrate:down; tool migrate:down");
    applied(f, "alembic", "a1 a2 a3");
    assert_string_equal(starts(f, 2, NULL), "tool downgrade -2");
    assert_string_equal(starts(f, 1, "a1"), "tool downgrade a1");
    assert_string_equal(starts(f, 1, "0"), "tool downgrade base");
    applied(f, "sequel", "1_a 2_b");
    assert_string_equal(starts(f, 1, NULL), "tool 1");
    assert_string_equal(starts(f, 2, NULL), "tool 0");
    applied(f, "sqitch", "a b c");
    assert_string_equal(starts(f, 1, NULL), "tool revert --to b -y");
    assert_string_equal(starts(f, 3, NULL), "tool revert -y");
    /* These cannot be run here: their documentation's own words. */
    applied(f, "laravel", "2024_01_01_000001_a 2024_01_01_000002_b 2024_01_01_000003_c");
    assert_string_equal(starts(f, 2, NULL), "tool artisan migrate:rollback --force --step=2");
    assert_string_equal(starts(f, 1, "2024_01_01_000002"),
                        "tool artisan migrate:rollback --force --step=1");
    assert_string_equal(starts(f, 1, "0"), "tool artisan migrate:rollback --force --step=3");
    applied(f, "ecto", "20240101000001 20240101000002");
    assert_string_equal(starts(f, 1, NULL), "tool ecto.rollback -n 1");
    assert_string_equal(starts(f, 1, "20240101000001"), "tool ecto.rollback -n 1");
    applied(f, "liquibase", "1 2 3");
    f->files.known = false;
    assert_string_equal(starts(f, 2, NULL), "tool rollback-count --count=2");
    assert_string_equal(starts(f, 1, "0"), "tool rollback-count --count=3");
    applied(f, "yoyo", "a b c");
    assert_string_equal(starts(f, 2, NULL), "tool rollback --batch --revision b");
}

static void
test_one_app_of_django(void **state)
{
    Fixture *f = *state;
    applied(f, "django", "a.1 a.1>a.2 b.1");
    assert_string_equal(starts(f, 2, NULL), "tool manage.py migrate --noinput b zero; "
                                            "tool manage.py migrate --noinput a 1");
    assert_string_equal(starts(f, 1, "a.1"), "tool manage.py migrate --noinput a 1");
    assert_string_equal(starts(f, 1, "b.zero"), "tool manage.py migrate --noinput b zero");
    assert_string_equal(starts(f, 1, "a.2"), "");
    assert_string_equal(starts(f, 1, "a.7"), "2: version 'a.7' is not applied");
    assert_string_equal(starts(f, 1, "0"),
                        "2: '0' names no app: Django rolls back one app at a time");
    /* Going back to a.1 would undo its other child, too. */
    applied(f, "django", "a.1 a.1>a.2 a.1>a.3");
    assert_string_equal(starts(f, 1, NULL),
                        "2: 'a.3' cannot be undone alone: its app forks before it");
}

static void
test_refused(void **state)
{
    Fixture *f = *state;
    applied(f, "rails", "1 2");
    assert_string_equal(starts(f, 1, "7"), "2: version '7' is not applied");
    assert_string_equal(starts(f, 0, NULL), "2: cannot go back 0 steps");
    *vec_push(f->arena, &f->state.ahead) = (ToolRow){.id = (char[]){"3"}};
    assert_string_equal(starts(f, 1, NULL),
                        "6: version 3 is applied, but there is no file here that could undo it");
    applied(f, "knex", "1_a 1_b"); /* a number that is two */
    assert_string_equal(starts(f, 1, "1"), "2: version '1' is not applied");
    f->project.prefix = NULL;
    assert_string_equal(starts(f, 1, NULL),
                        "2: lockstep does not know how this command of Knex rolls back");
    applied(f, "prisma", "1");
    assert_string_equal(starts(f, 1, NULL), "2: lockstep does not know how Prisma rolls back");
    applied(f, "typeorm", "1 2");
    f->files.known = false;
    assert_string_equal(starts(f, 2, NULL), "tool migration:revert -d; tool migration:revert -d");
    assert_string_equal(starts(f, 1, "1"),
                        "2: only TypeORM itself knows the order of its migrations");
}

/* What tells the tool where its configuration is stands behind the row's words. */
static void
test_words_of_the_project(void **state)
{
    Fixture *f = *state;
    char *apply[] = {(char[]){"tool"}, (char[]){"db"}, (char[]){"upgrade"},
                     (char[]){"-d"},   (char[]){"x"},  NULL};
    char *other[] = {(char[]){"tool"}, (char[]){"db"}, (char[]){"upgrade-all"}, (char[]){"-d"},
                     NULL};
    applied(f, "flask-migrate", "a1 a2");
    f->project.apply = apply;
    assert_string_equal(starts(f, 1, "a1"), "tool db downgrade a1 -d x");
    f->project.apply = other;
    assert_string_equal(starts(f, 1, "a1"), "tool db downgrade a1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts_and_targets, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_one_app_of_django, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_words_of_the_project, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
