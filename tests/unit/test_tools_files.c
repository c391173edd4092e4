/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations out of the files of each tool, and what is said where files cannot tell. */

#include "tools_fixture.h"

/* ---- Django ---- */

#define MIGRATION(body)                                                                            \
    "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n" body

static void
django(Fixture *f, const char *settings)
{
    use(f, "django", NULL);
    put(f, "manage.py",
        "#!/usr/bin/env python\nimport os\n"
        "def main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n");
    put(f, "site1/__init__.py", "");
    put(f, "site1/settings.py", settings);
    put(f, "blog/__init__.py", "");
    put(f, "blog/migrations/__init__.py", "");
    put(f, "blog/migrations/0001_initial.py",
        MIGRATION("    initial = True\n    dependencies = [\n"
                  "        migrations.swappable_dependency(settings.AUTH_USER_MODEL),  # who\n"
                  "        ('shop', '__first__'),\n    ]\n    operations = []\n"));
    put(f, "blog/migrations/0002_post.py",
        MIGRATION("    dependencies = [('blog', '0001_initial')]\n"));
    put(f, "blog/migrations/_helper.py", "x = 1\n");
    put(f, "shop/__init__.py", "");
    put(f, "shop/migrations/__init__.py", "");
    put(f, "shop/migrations/0001_initial.py", MIGRATION("    dependencies = []\n"));
}

static void
test_django(void **state)
{
    Fixture *f = *state;
    django(f, "INSTALLED_APPS = ['blog', 'shop']\n");
    expect(f, "shop.0001_initial blog.0001_initial blog.0002_post");
    assert_string_equal(f->files.items.p[2].name, "0002_post");
}

static void
test_django_settings_in_parts(void **state)
{
    Fixture *f = *state;
    django(f, "");
    (void)unlink(at(f, "site1/settings.py"));
    put(f, "site1/settings/__init__.py", "from .production import *\n");
    put(f, "site1/settings/production.py",
        "from .base import *  # noqa\ntry:\n    from .local import *\nexcept ImportError:\n"
        "    pass\nINSTALLED_APPS += ('shop',)\nDEBUG = False\n");
    put(f, "site1/settings/base.py",
        "LOCAL_APPS = [\n    'blog.apps.BlogConfig',  # ours\n]\nTHIRD: list[str] = []\n"
        "INSTALLED_APPS = THIRD + LOCAL_APPS\n");
    put(f, "blog/apps.py",
        "from django.apps import AppConfig\n\n\nclass Base(AppConfig):\n"
        "    name = 'blog'\n    label = 'weblog'\n\n\nclass BlogConfig(Base):\n"
        "    default_auto_field = 'x'\n");
    put(f, "blog/migrations/0002_post.py",
        MIGRATION("    dependencies = [('weblog', '0001_initial')]\n"));
    expect(f, "shop.0001_initial weblog.0001_initial weblog.0002_post");
}

static void
test_django_other_packages(void **state)
{
    Fixture *f = *state;
    django(f, "INSTALLED_APPS = ['blog', 'shop', 'pkg.auth']\n");
    put(f, "venv/bin/python", "");
    put(f, "venv/lib/python3.11/site-packages/pkg/__init__.py", "");
    put(f, "venv/lib/python3.11/site-packages/pkg/auth/__init__.py", "");
    put(f, "venv/lib/python3.11/site-packages/pkg/auth/migrations/__init__.py", "");
    put(f, "venv/lib/python3.11/site-packages/pkg/auth/migrations/0001_initial.py",
        MIGRATION("    dependencies = []\n"));
    char *apply[] = {at(f, "venv/bin/python"), (char[]){"manage.py"}, (char[]){"migrate"}, NULL};
    f->project.apply = apply;
    expect(f, "auth.0001_initial shop.0001_initial blog.0001_initial blog.0002_post");
}

static void
test_django_squashed(void **state)
{
    Fixture *f = *state;
    django(f, "INSTALLED_APPS = ['blog', 'shop']\n");
    put(f, "blog/migrations/0001_squashed_0002.py",
        MIGRATION("    replaces = [('blog', '0001_initial'), ('blog', '0002_post')]\n"));
    (void)unlink(at(f, "blog/migrations/0001_initial.py"));
    (void)unlink(at(f, "blog/migrations/0002_post.py"));
    put(f, "blog/migrations/0003_more.py",
        MIGRATION("    dependencies = [('blog', '0002_post')]\n    run_before = [('shop', "
                  "'0001_initial')]\n"));
    expect(f, "blog.0001_squashed_0002 blog.0003_more shop.0001_initial");
    assert_true(f->files.items.p[0].replaces);
    assert_int_equal(f->files.items.p[0].replaced.n, 2);
}

static void
test_django_unknown(void **state)
{
    Fixture *f = *state;
    static const struct {
        const char *settings, *word;
    } cases[] = {
        {"INSTALLED_APPS = env.list('APPS')\n", "plain list"},
        {"INSTALLED_APPS = ['blog', 'shop']\nif DEBUG:\n    INSTALLED_APPS += ['debug']\n",
         "plain list"},
        {"INSTALLED_APPS = ['blog', 'shop']\nif DEBUG:\n    INSTALLED_APPS.append('debug')\n",
         "plain list"},
        {"INSTALLED_APPS = ['blog', 'shop']\nfrom elsewhere.apps import *\n", "plain list"},
        {"INSTALLED_APPS = ['blog', 'shop', f'{x}']\n", "plain list"},
        {"INSTALLED_APPS = ['blog' 'shop', 'shop']\n", "blogshop"},
        {"INSTALLED_APPS = ['blog', 'shop', '../../etc']\n", "not found"},
        {"INSTALLED_APPS = ['blog', 'shop']\nMIGRATION_MODULES = {'blog': None}\n",
         "MIGRATION_MODULES"},
        {"INSTALLED_APPS = ['blog'\n", "cannot be read as Python"},
        {"X = 'a\nINSTALLED_APPS = ['blog']\n", "cannot be read as Python"},
        {"from .settings import *\n", "too deeply"},
        {"pass\n", "not set"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        django(f, cases[i].settings);
        expect_unknown(f, cases[i].word);
    }
    django(f, "INSTALLED_APPS = ['blog', 'shop']\n");
    put(f, "blog/migrations/0002_post.py", MIGRATION("    dependencies = find_them()\n"));
    expect_unknown(f, "computes");
    put(f, "blog/migrations/0002_post.py", "x = 1\n");
    expect_unknown(f, "no class Migration");
    put_bytes(f, "blog/migrations/0002_post.py", "a\0b", 3);
    expect_unknown(f, "cannot be read");
    put(f, "blog/migrations/0002_post.py",
        MIGRATION("    dependencies = [('blog', '0003_more')]\n"));
    put(f, "blog/migrations/0003_more.py",
        MIGRATION("    dependencies = [('blog', '0002_post')]\n"));
    expect_unknown(f, "circle");
}

static void
test_django_environment(void **state)
{
    Fixture *f = *state;
    django(f, "INSTALLED_APPS = ['blog', 'shop']\n");
    put(f, "site1/other.py", "INSTALLED_APPS = ['shop']\n");
    f->environ_[0] = (char[]){"DJANGO_SETTINGS_MODULE=site1.other"};
    expect(f, "shop.0001_initial");
    f->environ_[0] = NULL;
}

/* ---- Alembic ---- */

static void
test_alembic(void **state)
{
    Fixture *f = *state;
    use(f, "alembic", "alembic");
    put(f, "alembic/env.py", "x = 1\n");
    put(f, "alembic/versions/zz_first.py",
        "\"\"\"make users\n\nRevision ID: a1\n\"\"\"\nfrom alembic import op\n"
        "revision = 'a1'\ndown_revision = None\n");
    put(f, "alembic/versions/aa_third.py",
        "revision: str = \"a3\"\ndown_revision: Union[str, Sequence[str], None] = ('a2', 'b1')\n"
        "branch_labels: Union[str, None] = None\n");
    put(f, "alembic/versions/bb_second.py",
        "'''second'''\nrevision = 'a2'\ndown_revision = 'a1'\n");
    put(f, "alembic/versions/cc_branch.py",
        "revision = 'b1'\ndown_revision = None\nbranch_labels = ('side',)\ndepends_on = 'a1'\n");
    expect(f, "a1 a2 b1 a3");
    assert_string_equal(f->files.items.p[0].name, "make users");
    assert_int_equal(f->files.heads.n, 1);
    assert_string_equal(f->files.heads.p[0], "a3");
    put(f, "alembic/versions/dd.py",
        "revision = 'c1'\ndown_revision = 'a1'\ndepends_on = ('side',)\n");
    expect(f, "a1 a2 b1 a3 c1");
    assert_int_equal(f->files.heads.n, 2);
    /* Two at once, and none that could be seen: Alembic takes every module for a revision. */
    put(f, "alembic/versions/ee.py", "revision, down_revision = 'e1', 'c1'\n");
    expect_unknown(f, "does not say plainly");
    put(f, "alembic/versions/ee.py", "revision = 'd1'\ndown_revision = 'gone'\n");
    expect_unknown(f, "'gone'");
    put(f, "alembic/versions/ee.py", "revision = make()\ndown_revision = 'a1'\n");
    expect_unknown(f, "computes");
    put(f, "alembic/versions/ee.py", "revision = 'a1'\ndown_revision = 'a2'\n");
    expect_unknown(f, "two files");
}

static void
test_alembic_long_chain(void **state)
{
    Fixture *f = *state;
    use(f, "flask-migrate", "migrations");
    for (int i = 0; i < 3000; i++) {
        char name[64], text[128];
        snprintf(name, sizeof name, "migrations/versions/%05d_.py", 3000 - i);
        snprintf(text, sizeof text,
                 i ? "revision = 'r%d'\ndown_revision = 'r%d'\n"
                   : "revision = "
                     "'r%d'\ndown_revision = None\n",
                 i, i - 1);
        put(f, name, text);
    }
    read_files(f);
    assert_true(f->files.known);
    assert_int_equal(f->files.items.n, 3000);
    assert_string_equal(f->files.items.p[2999].id, "r2999");
}

static void
test_yoyo(void **state)
{
    Fixture *f = *state;
    use(f, "yoyo", "m");
    put(f, "m/0001.init.py", "from yoyo import step\n__depends__ = {}\nsteps = [step('x')]\n");
    put(f, "m/0000.late.sql", "-- late\n-- depends: 0001.init\nselect 1;\n");
    put(f, "m/0001.init.rollback.sql", "");
    put(f, "m/post-apply.py", "");
    expect(f, "0001.init 0000.late");
    put(f, "m/0002.py", "__depends__ = set(names)\n");
    expect_unknown(f, "computes");
}

/* ---- by name ---- */

static void
test_node(void **state)
{
    Fixture *f = *state;
    put(f, "migrations/20240102_b.js", "");
    put(f, "migrations/20240101_a.js", "");
    put(f, "migrations/.hidden.js", "");
    put(f, "migrations/types.d.ts", "");
    put(f, "migrations/README.md", "");
    use(f, "knex", "migrations");
    expect(f, "20240101_a.js 20240102_b.js");
    use(f, "db-migrate", "migrations");
    expect(f, "/20240101_a /20240102_b");
    (void)unlink(at(f, "migrations/README.md"));
    (void)unlink(at(f, "migrations/types.d.ts"));
    use(f, "node-pg-migrate", "migrations");
    expect(f, "20240101_a 20240102_b");
    use(f, "knex", NULL);
    expect_unknown(f, "not known");
    use(f, "knex", "nothing-here");
    expect_unknown(f, "nothing-here");
    use(f, "typeorm", "migrations");
    expect_unknown(f, "only TypeORM itself");
}

static void
test_prisma_and_drizzle(void **state)
{
    Fixture *f = *state;
    put(f, "prisma/migrations/20240101000000_init/migration.sql", "");
    put(f, "prisma/migrations/migration_lock.toml", "");
    put(f, "prisma/migrations/empty/README", "");
    use(f, "prisma", "prisma/migrations");
    expect(f, "20240101000000_init");
    use(f, "drizzle", "drizzle");
    put(f, "drizzle/meta/_journal.json",
        "{\"version\": \"7\", \"entries\": [{\"idx\": 0, \"when\": 1704067200000, \"tag\": "
        "\"0000_init\", \"breakpoints\": true}, {\"idx\": 1, \"when\": 1704067300000, \"tag\": "
        "\"0001_more\"}]}");
    expect(f, "1704067200000 1704067300000");
    assert_string_equal(f->files.items.p[1].version, "0001_more");
    put(f, "drizzle/meta/_journal.json", "{\"entries\": [{\"when\": \"x\"}]}");
    expect_unknown(f, "journal");
    put(f, "drizzle/meta/_journal.json", "{");
    expect_unknown(f, "journal");
}

static void
test_numbers(void **state)
{
    Fixture *f = *state;
    put(f, "db/migrate/20240102000000_b.rb", "");
    put(f, "db/migrate/001_a.rb", "");
    put(f, "db/migrate/sub/20240101000000_c.rb", "");
    put(f, "db/migrate/notes.rb", "");
    use(f, "rails", "db/migrate");
    expect(f, "1 20240101000000 20240102000000");
    put(f, "db/animals_migrate/20240102000000_b.rb", "");
    expect_unknown(f, "second database");
    put(f, "m/001.do.users.sql", "");
    put(f, "m/002.do.sql", "");
    put(f, "m/010.do.posts.sql", "");
    put(f, "m/001.undo.users.sql", "");
    use(f, "postgrator", "m");
    expect(f, "1 2 10");
    put(f, "g/committed/000001.sql", "");
    put(f, "g/committed/000002-more.sql", "");
    use(f, "graphile-migrate", "g");
    expect(f, "000001.sql 000002.sql");
    put(f, "s/20240101000001_M1.rb", "");
    use(f, "sequel", "s");
    expect(f, "20240101000001_m1.rb");
    put(f, "t/1_m1.rb", "");
    use(f, "sequel", "t");
    expect_unknown(f, "schema_info");
    put(f, "e/20240101000001_m1.exs", "");
    use(f, "ecto", "e");
    expect(f, "20240101000001");
}

static void
test_laravel(void **state)
{
    Fixture *f = *state;
    put(f, "database/migrations/2014_10_12_000000_create_users_table.php", "");
    use(f, "laravel", "database/migrations");
    expect(f, "2014_10_12_000000_create_users_table");
    put(f, "vendor/laravel/sanctum/database/migrations/x.php", "");
    expect_unknown(f, "sanctum");
}

static void
test_sqitch(void **state)
{
    Fixture *f = *state;
    use(f, "sqitch", NULL);
    put(f, "sqitch.plan",
        "%syntax-version=1.0.0\n%project=blog\n\nusers 2024-01-01T00:00:00Z A <a@b> # make\n"
        "posts [users !x] 2024-01-01T00:00:00Z A <a@b> # more\n@v1 2024-01-01T00:00:00Z A <a@b>\n");
    expect(f, "users posts");
    put(f, "sqitch.plan", "%project=blog\nusers x\n@v1 x\nusers [users@v1] x\n");
    expect_unknown(f, "reworked");
}

/* ---- the print ---- */

static char *
print_of(Fixture *f)
{
    char *print = NULL;
    assert_true(tool_print(f->arena, &f->project, &print, &f->err));
    return print;
}

static void
test_print(void **state)
{
    Fixture *f = *state;
    char *apply[] = {(char[]){"no-such-program"}, (char[]){"migrate:latest"}, NULL};
    put(f, "package.json", "{}");
    put(f, "src/a.js", "");
    put(f, "node_modules/x/a.js", "");
    put(f, "node_modules/.package-lock.json", "{}");
    put(f, "data.bin", "");
    (void)!symlink("..", at(f, "src/up"));
    use(f, "knex", NULL);
    f->project.apply = apply;
    char *first = print_of(f);
    assert_non_null(first);
    put(f, "data.bin", "more");
    put(f, "node_modules/x/b.js", "");
    assert_string_equal(print_of(f), first);
    apply[1] = (char[]){"migrate:up"};
    assert_string_not_equal(print_of(f), first);
    apply[1] = (char[]){"migrate:latest"};
    f->project.mode = (char[]){"production"};
    assert_string_not_equal(print_of(f), first);
    f->project.mode = NULL;
    f->environ_[0] = (char[]){"NODE_ENV="};
    assert_string_not_equal(print_of(f), first);
    f->environ_[0] = NULL;
    assert_string_equal(print_of(f), first);
    put(f, "node_modules/.package-lock.json", "{  }");
    char *installed = print_of(f);
    assert_string_not_equal(installed, first);
    put(f, "src/a.js", "x");
    assert_string_not_equal(print_of(f), installed);
    put(f, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o.js", "");
    assert_null(print_of(f));
}

/* What the tool and its framework write down while they run is nothing to run them again for. */
static void
test_print_without_caches(void **state)
{
    Fixture *f = *state;
    put(f, "Gemfile", "gem 'rails'\n");
    put(f, "db/migrate/1_a.rb", "");
    put(f, "vendor/bundle/ruby/3.1.0/specifications/a-1.gemspec", "");
    use(f, "rails", NULL);
    char *first = print_of(f);
    put(f, "tmp/cache/a.json", "{}");
    put(f, "log/a.json", "{}");
    put(f, "vendor/bundle/ruby/3.1.0/gems/a-1/a.rb", "");
    assert_string_equal(print_of(f), first);
    put(f, "vendor/bundle/ruby/3.1.0/specifications/b-1.gemspec", "");
    assert_string_not_equal(print_of(f), first);
    use(f, "prisma", NULL);
    put(f, "node_modules/x/package.json", "{}");
    first = print_of(f);
    put(f, "node_modules/.cache/a.json", "{}");
    put(f, ".next/a.json", "{}");
    assert_string_equal(print_of(f), first);
    put(f, "node_modules/y/package.json", "{}");
    assert_string_not_equal(print_of(f), first);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_django),
        TEST(test_django_settings_in_parts),
        TEST(test_django_other_packages),
        TEST(test_django_squashed),
        TEST(test_django_unknown),
        TEST(test_django_environment),
        TEST(test_alembic),
        TEST(test_alembic_long_chain),
        TEST(test_yoyo),
        TEST(test_node),
        TEST(test_prisma_and_drizzle),
        TEST(test_numbers),
        TEST(test_laravel),
        TEST(test_sqitch),
        TEST(test_print),
        TEST(test_print_without_caches),
    };
    return cmocka_run_group_tests_name("tools_files", tests, NULL, NULL);
}
