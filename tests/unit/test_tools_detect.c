/* SPDX-License-Identifier: Apache-2.0 */
/* Detection: which tool a directory is of, how it is started, which database its files name. */

#include "tools_fixture.h"

#include "core/env.h"
#include "db/url.h"

/* What is installed: programs in bin/, which is PATH. */
static char *environment[16];
static size_t variables;
static DetectOptions options;
static Detection found;

static void
set_variable(Fixture *f, const char *name, const char *value)
{
    assert_true(variables < 15);
    environment[variables++] = str_printf(f->arena, "%s=%s", name, value);
    environment[variables] = NULL;
}

static void
program(Fixture *f, const char *name)
{
    put(f, name, "#!/bin/sh\n");
    assert_int_equal(chmod(at(f, name), 0755), 0);
}

static void
in_path(Fixture *f, const char *names)
{
    char **words;
    assert_true(str_split_words(f->arena, str_of(names), &words));
    for (; *words; words++)
        program(f, str_printf(f->arena, "../%s.bin/%s", strrchr(f->dir, '/') + 1, *words));
}

static int
setup(void **state)
{
    fixture_setup(state);
    Fixture *f = *state;
    variables = 0;
    found = (Detection){0};
    set_variable(f, "PATH", str_printf(f->arena, "%s.bin", f->dir));
    assert_int_equal(mkdir(str_printf(f->arena, "%s.bin", f->dir), 0755), 0);
    options = (DetectOptions){.dir = f->dir, .environ_ = environment};
    return 0;
}

static int
teardown(void **state)
{
    Fixture *f = *state;
    remove_tree(f->arena, str_printf(f->arena, "%s.bin", f->dir));
    return fixture_teardown(state);
}

/* Without the directory of this test in it. */
static char *
shown(Fixture *f, const char *text)
{
    StrBuf out = strbuf_new(f->arena, 65536);
    size_t n = strlen(f->dir);
    strbuf_puts(&out, "");
    for (; text && *text; text++) {
        if (strncmp(text, f->dir, n) == 0 && (text[n] == '/' || text[n] == 0))
            text += n;
        else
            strbuf_addc(&out, *text);
    }
    return str_dup(f->arena, strbuf_str(&out));
}

static char *
joined(Fixture *f, char *const *words, size_t n)
{
    StrBuf out = strbuf_new(f->arena, 65536);
    for (size_t i = 0; words && i < n && words[i]; i++)
        strbuf_printf(&out, "%s%s", i ? " " : "", words[i]);
    return shown(f, str_dup(f->arena, strbuf_str(&out)));
}

static void
look(Fixture *f)
{
    f->err = ERROR_INIT;
    if (!tool_detect(f->arena, &options, &found, &f->err))
        fail_msg("%s (%s)", f->err.message, f->err.file);
}

static void
is(Fixture *f, const char *tool, const char *command)
{
    look(f);
    if (!found.found)
        fail_msg("nothing found instead of %s", tool);
    assert_string_equal(found.project.tool->name, tool);
    assert_string_equal(joined(f, found.project.apply, SIZE_MAX), command);
}

static void
evidence_is(Fixture *f, const char *expected)
{
    assert_string_equal(joined(f, found.project.evidence.p, found.project.evidence.n), expected);
}

static void
migrations_are(Fixture *f, const char *expected)
{
    assert_string_equal(shown(f, found.project.migrations ? found.project.migrations : "?"),
                        expected);
}

static void
database_is(Fixture *f, const char *url, const char *from)
{
    look(f);
    assert_string_equal(found.project.url ? shown(f, found.project.url) : "?", url);
    if (from)
        assert_string_equal(shown(f, found.project.url_from), from);
}

static void
nothing(Fixture *f)
{
    look(f);
    if (found.found)
        fail_msg("found %s", found.project.tool->name);
}

static void
refused(Fixture *f, const char *message)
{
    Detection untouched = {0};
    f->err = ERROR_INIT;
    assert_false(tool_detect(f->arena, &options, &untouched, &f->err));
    assert_int_equal(f->err.code, ERROR_USAGE);
    assert_false(untouched.found);
    if (!strstr(shown(f, f->err.message), message))
        fail_msg("'%s' is not in '%s'", message, f->err.message);
}

/* ---- Python ---- */

static const char manage_py[] =
    "import os\n# DJANGO_SETTINGS_MODULE is the project's\ndef main():\n"
    "    os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"site_.settings\")\n";

static void
test_django(void **state)
{
    Fixture *f = *state;
    put(f, "manage.py", manage_py);
    in_path(f, "python3");
    is(f, "django", "python3 manage.py migrate --noinput");
    evidence_is(f, "manage.py");
    assert_string_equal(joined(f, found.project.prefix, SIZE_MAX), "python3");
    assert_string_equal(joined(f, tool_ask_database(f->arena, &found.project), 2), "python3 -c");
    program(f, ".venv/bin/python");
    is(f, "django", ".venv/bin/python manage.py migrate --noinput");
}

static void
test_django_without_python(void **state)
{
    Fixture *f = *state;
    put(f, "manage.py", manage_py);
    refused(f,
            "a Django project was found (manage.py), and it cannot be migrated: Django is not "
            "installed here: neither venv/bin/python nor .venv/bin/python nor `python3` in PATH");
}

static void
test_manage_py_of_others(void **state)
{
    Fixture *f = *state;
    put(f, "manage.py", "from flask_script import Manager\n");
    in_path(f, "python3");
    nothing(f);
}

static void
test_alembic(void **state)
{
    Fixture *f = *state;
    put(f, "alembic.ini",
        "[alembic]\nscript_location = %(here)s/db\n"
        "sqlalchemy.url = postgresql://u:p%%40w@h/d\n");
    put(f, "db/env.py", "context.configure(version_table='versions', version_table_schema=\"s\")");
    put(f, "db/versions/a1.py", "");
    in_path(f, "alembic");
    is(f, "alembic", "alembic upgrade head");
    evidence_is(f, "alembic.ini");
    assert_string_equal(found.project.table, "versions");
    assert_string_equal(found.project.schema, "s");
    migrations_are(f, "db/versions");
    database_is(f, "postgresql://u:p%40w@h/d", "alembic.ini, sqlalchemy.url");
}

static void
test_alembic_without_database(void **state)
{
    Fixture *f = *state;
    put(f, "alembic.ini",
        "[alembic]\nscript_location = a\n"
        "sqlalchemy.url = driver://user:pass@localhost/dbname\n");
    in_path(f, "alembic");
    database_is(f, "?", NULL);
    put(f, "alembic.ini",
        "[alembic]\nscript_location = a\nuser = me\n"
        "sqlalchemy.url = mysql+pymysql://%(user)s@h/d\n");
    database_is(f, "mysql+pymysql://me@h/d", NULL);
}

static void
test_alembic_in_pyproject(void **state)
{
    Fixture *f = *state;
    in_path(f, "alembic");
    put(f, "pyproject.toml", "[project]\ndependencies = [\"alembic>=1\"]\n");
    nothing(f);
    ToolFiles files;
    put(f, "pyproject.toml",
        "[tool.alembic]\nscript_location = \"%(here)s/alembic\"\n"
        "recursive_version_locations = true\n");
    put(f, "alembic/versions/a.py", "revision = 'a'\ndown_revision = None\n");
    look(f);
    assert_true(tool_files(f->arena, &found.project, &files, &f->err));
    assert_false(files.known);
    put(f, "pyproject.toml", "[tool.alembic]\nscript_location = \"%(here)s/alembic\"\n");
    is(f, "alembic", "alembic upgrade head");
    evidence_is(f, "pyproject.toml");
}

static void
test_flask_migrate(void **state)
{
    Fixture *f = *state;
    in_path(f, "flask alembic");
    put(f, "migrations/env.py", "from flask import current_app\n");
    put(f, "migrations/versions/a1.py", "");
    put(f, "alembic.ini", "[alembic]\nscript_location = migrations\n");
    is(f, "flask-migrate", "flask db upgrade");
    evidence_is(f, "migrations/env.py");
    migrations_are(f, "migrations/versions");
    /* A package.json for the style sheets is no second tool. */
    put(f, "package.json", "{\"scripts\": {\"build\": \"vite build\"}}");
    is(f, "flask-migrate", "flask db upgrade");
}

static void
test_flask_in_a_package(void **state)
{
    Fixture *f = *state;
    in_path(f, "flask");
    put(f, "shop/migrations/env.py", "config = current_app.config\n");
    put(f, "venv/migrations/env.py", "config = current_app.config\n");
    is(f, "flask-migrate", "flask db upgrade -d shop/migrations");
}

static void
test_yoyo(void **state)
{
    Fixture *f = *state;
    in_path(f, "yoyo");
    set_variable(f, "DB", "postgresql://u@h/d");
    put(f, "yoyo.ini",
        "[DEFAULT]\nsources = migrations\ndatabase = %(DB)s\n"
        "migration_table = t\n");
    is(f, "yoyo", "yoyo apply --batch");
    migrations_are(f, "migrations");
    assert_string_equal(found.project.table, "t");
    database_is(f, "postgresql://u@h/d", "yoyo.ini, database");
}

/* ---- Node ---- */

static void
test_knex(void **state)
{
    Fixture *f = *state;
    put(f, "knexfile.js",
        "module.exports = { client: 'pg',\n// directory: 'no'\n migrations: { "
        "directory: './db/migrations', tableName: 'k' } };");
    refused(f, "there is no `node` in PATH");
    in_path(f, "node");
    refused(f, "Knex is not installed here: neither node_modules/.bin/knex nor `knex` in PATH");
    program(f, "node_modules/.bin/knex");
    put(f, "db/migrations/1_a.js", "");
    is(f, "knex", "node_modules/.bin/knex migrate:latest");
    evidence_is(f, "knexfile.js");
    migrations_are(f, "db/migrations");
    assert_string_equal(found.project.table, "k");
    assert_string_equal(joined(f, tool_ask_database(f->arena, &found.project), 2), "node -e");
}

static void
test_scripts(void **state)
{
    static const struct {
        const char *script, *tool, *command;
    } cases[] = {
        {"knex migrate:latest --env production", "knex",
         "node_modules/.bin/knex migrate:latest --env production"},
        {"NODE_ENV=production knex migrate:latest", "knex", "npm run db:migrate"},
        {"npx knex migrate:latest", "knex", "npm run db:migrate"},
        {"dotenv -- knex migrate:latest", "knex", "npm run db:migrate"},
        {"npm run build && knex migrate:latest", "knex", "npm run db:migrate"},
        {"node ./umzug.js up", "umzug", "npm run db:migrate"},
        {"tsx ./node_modules/typeorm/cli.js migration:run -d x", "typeorm", "npm run db:migrate"},
        {"node scripts/schema.js", "npm", "npm run db:migrate"},
    };
    Fixture *f = *state;
    in_path(f, "node npm");
    program(f, "node_modules/.bin/knex");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put(f, "package.json",
            str_printf(f->arena, "{\"scripts\": {\"db:migrate\": \"%s\"}}", cases[i].script));
        is(f, cases[i].tool, cases[i].command);
        evidence_is(f, "package.json");
        assert_string_equal(found.project.script, "db:migrate");
    }
}

static void
test_scripts_that_are_none(void **state)
{
    static const char *const scripts[] = {
        "prisma migrate dev",
        "npx prisma migrate dev --name x",
        "drizzle-kit generate",
        "drizzle-kit push",
        "drizzle-kit generate && drizzle-kit migrate",
        "flask db migrate",
        "python manage.py makemigrations && python manage.py migrate",
        "lockstep migrate",
        "docker compose exec web python manage.py migrate",
        "knex migrate:make",
        "prisma db push --accept-data-loss"};
    Fixture *f = *state;
    in_path(f, "node npm");
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        put(f, "package.json",
            str_printf(f->arena, "{\"scripts\": {\"migrate\": \"%s\"}}", scripts[i]));
        nothing(f);
    }
    put(f, "package.json",
        "{\"scripts\": {\"migrate\": \"prisma migrate dev\", "
        "\"migrate:deploy\": \"node migrate.js\"}}");
    is(f, "npm", "npm run migrate:deploy");
}

/* `npm run X` is what X is, at any depth; npm starts what stands around a script, so does lockstep.
 */
static void
test_scripts_of_scripts(void **state)
{
    static const struct {
        const char *scripts, *tool, *command;
    } cases[] = {
        {"\"migrate\": \"npm run db:dev\", \"db:dev\": \"prisma migrate dev\"", "none", ""},
        {"\"migrate\": \"yarn gen && yarn up\", \"gen\": \"drizzle-kit generate;\", "
         "\"up\": \"drizzle-kit migrate\"",
         "none", ""},
        {"\"migrate\": \"run-s a b\", \"a\": \"tsc\", \"b\": \"npm run c\", "
         "\"c\": \"sh -c 'knex migrate:make x'\"",
         "none", ""},
        {"\"migrate\": \"pnpm orm migration:generate\", \"orm\": \"typeorm-ts-node-esm\"", "none",
         ""},
        {"\"migrate\": \"npm run up && knex migrate:latest\", \"up\": \"docker compose up -d\"",
         "none", ""},
        {"\"migrate\": \"knex migrate:latest\", \"premigrate\": \"knex migrate:make x\"", "none",
         ""},
        {"\"migrate\": \"npm run build && npm run up\", \"build\": \"tsc\", "
         "\"up\": \"knex migrate:latest\"",
         "knex", "npm run migrate"},
        {"\"migrate\": \"knex migrate:latest\", \"postmigrate\": \"node seed.js\"", "knex",
         "npm run migrate"},
        {"\"migrate\": \"npm run migrate\"", "npm", "npm run migrate"},
    };
    Fixture *f = *state;
    in_path(f, "node npm");
    program(f, "node_modules/.bin/knex");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put(f, "package.json", str_printf(f->arena, "{\"scripts\": {%s}}", cases[i].scripts));
        if (strcmp(cases[i].tool, "none") == 0)
            nothing(f);
        else
            is(f, cases[i].tool, cases[i].command);
    }
}

/* What a command line says may be somewhere else is not read out of the usual places. */
static void
test_scripts_with_options(void **state)
{
    static const struct {
        const char *script;
        bool known;
    } cases[] = {
        {"knex migrate:latest", true},
        {"npm run build && knex migrate:latest --verbose", true},
        {"knex migrate:latest --knexfile config/knexfile.js", false},
        {"knex migrate:latest --env staging", false},
        {"NODE_ENV=production knex migrate:latest", false},
        {"cd db && knex migrate:latest", false},
    };
    Fixture *f = *state;
    ToolFiles files;
    in_path(f, "node npm");
    program(f, "node_modules/.bin/knex");
    put(f, "knexfile.js", "");
    put(f, "migrations/1_a.js", "");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put(f, "package.json",
            str_printf(f->arena, "{\"scripts\": {\"migrate\": \"%s\"}}", cases[i].script));
        look(f);
        assert_true(tool_files(f->arena, &found.project, &files, &f->err));
        assert_int_equal(files.known, cases[i].known);
        char **words;
        assert_true(str_split_words(f->arena, str_of(cases[i].script), &words));
        options.command = words;
        options.elsewhere = true; /* none of them is installed here */
        look(f);
        assert_true(tool_files(f->arena, &found.project, &files, &f->err));
        assert_int_equal(files.known, cases[i].known);
        options.command = NULL;
    }
}

/* A table whose name is computed is not the usual one. */
static void
test_computed_tables(void **state)
{
    static const struct {
        const char *code;
        bool known;
    } cases[] = {{"version_table='mine')", true},
                 {"target_metadata=x)", true},
                 {"version_table=f'{name}_version')", false},
                 {"version_table='mine' + suffix)", false},
                 {"version_table_schema=settings.SCHEMA)", false}};
    Fixture *f = *state;
    ToolFiles files;
    in_path(f, "alembic");
    put(f, "alembic.ini", "[alembic]\nscript_location = a\n");
    put(f, "a/versions/a.py", "revision = 'a'\ndown_revision = None\n");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put(f, "a/env.py", str_printf(f->arena, "context.configure(x, %s\n", cases[i].code));
        look(f);
        assert_true(tool_files(f->arena, &found.project, &files, &f->err));
        assert_int_equal(files.known, cases[i].known);
    }
}

/* As `knex init` writes it. */
static void
test_knexfile_of_several_modes(void **state)
{
    static const char knexfile[] =
        "const more = { migrations: { directory: './b' } };\n"
        "module.exports = {\n"
        "  development: { client: 'pg', migrations: { directory: './a' } },\n"
        "  staging: { client: 'pg' },\n"
        "  production: { migrations: { directory: './b', tableName: 'mine' } },\n"
        "  test: { ...more },\n"
        "};\n";
    Fixture *f = *state;
    ToolFiles files;
    in_path(f, "node npm");
    program(f, "node_modules/.bin/knex");
    put(f, "knexfile.js", knexfile);
    put(f, "a/1_a.js", "");
    put(f, "b/1_b.js", "");
    look(f);
    migrations_are(f, "a");
    options.mode = "production";
    look(f);
    migrations_are(f, "b");
    assert_string_equal(found.project.table, "mine");
    ToolEnvironment how = {0};
    assert_string_equal(env_get(tool_environment(f->arena, &found.project, &how), "NODE_ENV"),
                        "production");
    options.mode = "staging"; /* says nothing of them: the usual directory, not there */
    look(f);
    assert_null(found.project.migrations);
    options.mode = "test";
    look(f);
    migrations_are(f, "b"); /* one of several */
    assert_true(tool_files(f->arena, &found.project, &files, &f->err));
    assert_string_equal(files.why,
                        "its command line or configuration may put its migrations elsewhere");
    set_variable(f, "NODE_ENV", "production");
    look(f);
    migrations_are(f, "b");
}

static void
test_script_and_marker(void **state)
{
    Fixture *f = *state;
    in_path(f, "node npm pnpm");
    program(f, "node_modules/.bin/knex");
    put(f, "knexfile.js", "");
    put(f, "package.json", "{\"scripts\": {\"migrate\": \"knex migrate:latest --env staging\"}}");
    is(f, "knex", "node_modules/.bin/knex migrate:latest --env staging");
    evidence_is(f, "knexfile.js package.json");
    /* A script that tells nothing is there for the tool that is. */
    put(f, "package.json", "{\"scripts\": {\"migrate\": \"node dist/migrate.js\"}}");
    put(f, "pnpm-lock.yaml", "");
    is(f, "knex", "pnpm run migrate");
    put(f, "package.json",
        "{\"scripts\": {\"migrate\": \"node dist/migrate.js\"}, "
        "\"devDependencies\": {\"knex\": \"*\"}}");
    is(f, "knex", "pnpm run migrate");
}

static void
test_dependency_tells(void **state)
{
    Fixture *f = *state;
    in_path(f, "node npm");
    put(f, "package.json",
        "{\"scripts\": {\"migrate\": \"node dist/migrate.js\"}, "
        "\"dependencies\": {\"drizzle-orm\": \"*\"}}");
    is(f, "drizzle", "npm run migrate");
    put(f, "package.json",
        "{\"scripts\": {\"migrate\": \"node dist/migrate.js\"}, "
        "\"dependencies\": {\"umzug\": \"*\", \"knex\": \"*\"}}");
    is(f, "npm", "npm run migrate");
}

static void
test_no_configuration_of_their_own(void **state)
{
    static const struct {
        const char *package, *binary, *name, *command;
    } cases[] = {
        {"node-pg-migrate", "node-pg-migrate", "node-pg-migrate",
         "node_modules/.bin/node-pg-migrate up"},
        {"ley", "ley", "ley", "node_modules/.bin/ley up"},
        {"@databases/pg-migrations", "pg-migrations", "@databases",
         "node_modules/.bin/pg-migrations apply --directory migrations"},
    };
    Fixture *f = *state;
    in_path(f, "node npm");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        program(f, str_printf(f->arena, "node_modules/.bin/%s", cases[i].binary));
        put(f, "package.json",
            str_printf(f->arena, "{\"dependencies\": {\"%s\": \"1\"}}", cases[i].package));
        (void)unlink(at(f, "migrations/1-a.sql"));
        (void)rmdir(at(f, "migrations"));
        nothing(f);
        put(f, "migrations/1-a.sql", "select 1;");
        is(f, cases[i].name, cases[i].command);
        evidence_is(f, "package.json");
    }
}

static void
test_typeorm(void **state)
{
    Fixture *f = *state;
    in_path(f, "node npm");
    program(f, "node_modules/.bin/typeorm");
    put(f, "package.json", "{\"dependencies\": {\"typeorm\": \"1\"}}");
    nothing(f);
    put(f, "dist/data-source.js", "new DataSource({ migrations: [], migrationsTableName: 'm' })");
    is(f, "typeorm", "node_modules/.bin/typeorm migration:run -d dist/data-source.js");
    assert_string_equal(found.project.table, "m");
}

static void
test_prisma(void **state)
{
    Fixture *f = *state;
    in_path(f, "node");
    program(f, "node_modules/.bin/prisma");
    set_variable(f, "OTHER_URL", "postgresql://u@h/pooled");
    put(f, "prisma/schema.prisma",
        "datasource db {\n  provider = \"postgresql\"\n"
        "  url = env(\"OTHER_URL\")\n directUrl = env(\"STRAIGHT\")\n}\n");
    put(f, "prisma/migrations/migration_lock.toml", "");
    is(f, "prisma", "node_modules/.bin/prisma migrate deploy");
    evidence_is(f, "prisma/schema.prisma prisma/migrations/migration_lock.toml");
    migrations_are(f, "prisma/migrations");
    database_is(f, "postgresql://u@h/pooled", "OTHER_URL (prisma/schema.prisma)");
    put(f, ".env", "# x\nexport STRAIGHT='postgresql://u@h/straight'\n");
    database_is(f, "postgresql://u@h/straight", "STRAIGHT (prisma/schema.prisma)");
    ToolEnvironment how = {.url = STR("postgresql://u@h/mine")};
    char **environ_ = tool_environment(f->arena, &found.project, &how);
    assert_string_equal(env_get(environ_, "STRAIGHT"), "postgresql://u@h/mine");
    assert_string_equal(env_get(environ_, "OTHER_URL"), "postgresql://u@h/mine");
}

static void
test_prisma_without_its_program(void **state)
{
    Fixture *f = *state;
    put(f, "prisma/schema.prisma", "datasource db {\n url = \"file:./dev.db\"\n}\n");
    put(f, "prisma/migrations/1_a/migration.sql", "");
    options.sql_dir = at(f, "prisma/migrations");
    nothing(f);
    assert_true(found.sql);
    assert_string_equal(shown(f, found.sql_dir), "prisma/migrations");
    assert_string_equal(shown(f, found.project.url + strlen("sqlite:")), "prisma/dev.db");
    options.tool = "sql";
    nothing(f);
    assert_non_null(found.project.url);
    options.tool = NULL;
    options.sql_dir = NULL;
    nothing(f);
    assert_true(found.sql);
}

static void
test_drizzle(void **state)
{
    Fixture *f = *state;
    in_path(f, "node");
    program(f, "node_modules/.bin/drizzle-kit");
    put(f, "drizzle.config.ts",
        "export default defineConfig({ schema: './s.ts', out: './mine',\n"
        "  migrations: { table: 't', schema: 'public' } });");
    put(f, "mine/meta/_journal.json", "{}");
    is(f, "drizzle", "node_modules/.bin/drizzle-kit migrate");
    migrations_are(f, "mine");
    assert_string_equal(found.project.table, "t");
    assert_string_equal(found.project.schema, "public");
}

/* The kind of server by the driver that is installed. */
static void
test_drivers_of_manifests(void **state)
{
    static const struct {
        const char *file, *text, *engine;
    } cases[] = {{"requirements.txt", "psycopg2-binary==2.9\nalembic\n", "postgresql"},
                 {"requirements.txt", "PyMySQL>=1\nalembic\n", "mysql"},
                 {"requirements.txt", "psycopg[binary]\n", "postgresql"},
                 {"requirements.txt", "psycopg2\nmysqlclient\n", "?"},
                 {"requirements.txt", "psycopgx\n", "?"}};
    Fixture *f = *state;
    in_path(f, "alembic");
    put(f, "alembic.ini", "[alembic]\nscript_location = a\n");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool is = false;
        DbEngine engine = DB_SQLITE;
        put(f, cases[i].file, cases[i].text);
        look(f);
        assert_true(tool_driver(f->arena, &found.project, &is, &engine, &f->err));
        assert_string_equal(is ? db_engine_name(engine) : "?", cases[i].engine);
    }
    assert_int_equal(unlink(at(f, "alembic.ini")), 0);
    program(f, "node_modules/.bin/knex");
    in_path(f, "node");
    put(f, "knexfile.js", "");
    put(f, "package.json", "{\"dependencies\": {\"mysql2\": \"*\"}}");
    look(f);
    bool is = false;
    DbEngine engine = DB_SQLITE;
    assert_true(tool_driver(f->arena, &found.project, &is, &engine, &f->err));
    assert_true(is && engine == DB_MYSQL);
}

/* A quoted text, or a variable by its name; nothing is computed. */
static void
test_databases_in_code(void **state)
{
    static const struct {
        const char *tool, *file, *code, *url, *from;
    } cases[] = {
        {"drizzle", "drizzle.config.ts", "dbCredentials: {\n url: process.env.MINE!,\n}",
         "postgres://u:p@h/mine", "MINE (drizzle.config.ts)"},
        {"drizzle", "drizzle.config.ts", "dbCredentials: { url: 'postgres://q' }", "postgres://q",
         "drizzle.config.ts, url"},
        {"drizzle", "drizzle.config.ts",
         "dialect: 'mysql', dbCredentials: { host: 'h', user: process.env['ME'], database: 'd' }",
         "mysql://me@h/d", "drizzle.config.ts, dbCredentials"},
        {"drizzle", "drizzle.config.ts", "dbCredentials: { url: makeUrl() }", "?", NULL},
        {"drizzle", "drizzle.config.ts", "dbCredentials: { url: process.env.NOT_SET ?? '' }", "?",
         NULL},
        {"mikro-orm", "mikro-orm.config.js", "clientUrl: process.env[\"MINE\"],",
         "postgres://u:p@h/mine", "MINE (mikro-orm.config.js)"},
        {"typeorm", "data-source.js", "new DataSource({ url: process.env.MINE, migrations: [] })",
         "postgres://u:p@h/mine", "MINE (data-source.js)"},
        {"prisma", "prisma.config.ts", "datasource: { url: env('MINE') }", "postgres://u:p@h/mine",
         "MINE (prisma.config.ts)"},
        {"prisma", "prisma.config.ts", "datasource: { url: env('ME'), directUrl: env<E>('MINE') }",
         "me", "ME (prisma.config.ts)"},
    };
    Fixture *f = *state;
    in_path(f, "node npm");
    put(f, "package.json", "{\"dependencies\": {\"typeorm\": \"*\"}}");
    set_variable(f, "MINE", "postgres://u:p@h/mine");
    set_variable(f, "ME", "me");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        program(f,
                str_printf(f->arena, "node_modules/.bin/%s",
                           strcmp(cases[i].tool, "drizzle") == 0 ? "drizzle-kit" : cases[i].tool));
        put(f, cases[i].file, cases[i].code);
        options.tool = cases[i].tool;
        database_is(f, cases[i].url, cases[i].from);
        assert_int_equal(unlink(at(f, cases[i].file)), 0);
    }
}

static void
test_sequelize(void **state)
{
    Fixture *f = *state;
    in_path(f, "node");
    program(f, "node_modules/.bin/sequelize-cli");
    set_variable(f, "NODE_ENV", "production");
    put(f, ".sequelizerc",
        "const path = require('path');\nmodule.exports = { 'config': "
        "path.resolve('conf', 'db.json'), 'migrations-path': "
        "path.join(__dirname, 'db', 'migrations') };");
    put(f, "db/migrations/1-a.js", "");
    put(f, "conf/db.json",
        "{\"production\": {\"dialect\": \"mysql\", \"host\": \"h\", "
        "\"username\": \"u\", \"password\": \"p@:/w\", \"database\": \"d\"}}");
    is(f, "sequelize", "node_modules/.bin/sequelize-cli db:migrate");
    migrations_are(f, "db/migrations");
    database_is(f, "mysql://u:p%40%3A%2Fw@h/d", NULL);
}

static void
test_json_databases(void **state)
{
    Fixture *f = *state;
    in_path(f, "node");
    program(f, "node_modules/.bin/db-migrate");
    put(f, "database.json", "{\"users\": []}");
    nothing(f);
    put(f, "database.json",
        "{\"dev\": {\"driver\": \"pg\", \"host\": \"h\", \"port\": 5433, "
        "\"user\": {\"ENV\": \"ME\"}, \"database\": \"d\"}}");
    set_variable(f, "ME", "me");
    is(f, "db-migrate", "node_modules/.bin/db-migrate up");
    database_is(f, "postgresql://me@h:5433/d", "database.json, dev");
    assert_int_equal(unlink(at(f, "database.json")), 0);
    program(f, "node_modules/.bin/postgrator");
    put(f, ".postgratorrc.json",
        "{\"driver\": \"pg\", \"host\": \"h\", \"username\": \"u\", "
        "\"database\": \"d\", \"migrationPattern\": \"sql/*\"}");
    put(f, "sql/001.do.sql", "");
    database_is(f, "postgresql://u@h/d", ".postgratorrc.json");
    migrations_are(f, "sql");
}

static void
test_graphile(void **state)
{
    Fixture *f = *state;
    in_path(f, "node");
    program(f, "node_modules/.bin/graphile-migrate");
    put(f, ".gmrc",
        "{\n // \"connectionString\": \"postgres://no\",\n  \"connectionString\": "
        "\"postgres://u:p@h/d\",\n  // JSON5\n}\n");
    put(f, "migrations/committed/000001.sql", "");
    is(f, "graphile-migrate", "node_modules/.bin/graphile-migrate migrate");
    migrations_are(f, "migrations/committed");
    database_is(f, "postgres://u:p@h/d", ".gmrc, connectionString");
}

/* ---- Ruby, PHP, Elixir ---- */

static void
test_rails(void **state)
{
    Fixture *f = *state;
    in_path(f, "ruby");
    put(f, "bin/rails", "require 'rails/commands'\n");
    put(f, "db/migrate/1_a.rb", "");
    is(f, "rails", "ruby bin/rails db:migrate");
    program(f, "bin/rails");
    put(f, "config/application.rb", "class App < Rails::Application\nend\n");
    is(f, "rails", "bin/rails db:migrate");
    set_variable(f, "HOST", "db.internal");
    put(f, "config/database.yml",
        "default: &default\n  adapter: postgresql\n  password: \"p w\" # x\n"
        "  host: <%= ENV.fetch(\"HOST\") { \"localhost\" } %>\n"
        "  port: <%= ENV.fetch('PORT', 5432) %>\n"
        "development:\n  <<: *default\n  database: dev\n"
        "production:\n  <<: *default\n  username: u\n  database: prod\n");
    database_is(f, "?", NULL); /* the port needs Ruby */
    put(f, "config/database.yml",
        "default: &default\n  adapter: postgresql\n  password: \"p w\" # x\n"
        "  host: <%= ENV.fetch(\"HOST\") { \"localhost\" } %>\n"
        "  user: <%= ENV['NOBODY'] %>\n"
        "development:\n  <<: *default\n  database: dev\n"
        "production:\n  <<: *default\n  username: u\n  database: prod\n");
    set_variable(f, "RAILS_ENV", "production");
    database_is(f, "postgresql://u:p%20w@db.internal/prod", "config/database.yml, production");
}

static void
test_rails_sets_the_mode_it_read(void **state)
{
    Fixture *f = *state;
    in_path(f, "ruby");
    program(f, "bin/rails");
    put(f, "bin/rails", "require 'rails/commands'\n");
    put(f, "config/database.yml", "production:\n  adapter: sqlite3\n  database: db/p.sqlite3\n");
    options.mode = "production";
    database_is(f, "sqlite:db/p.sqlite3", NULL);
    ToolEnvironment how = {0};
    assert_string_equal(env_get(tool_environment(f->arena, &found.project, &how), "RAILS_ENV"),
                        "production");
}

static void
test_sequel(void **state)
{
    Fixture *f = *state;
    in_path(f, "ruby sequel");
    put(f, "Gemfile", "source 'x'\ngem 'sequel-rails'\n");
    put(f, "db/migrations/1_a.rb", "");
    nothing(f);
    put(f, "Gemfile", "source 'x'\n# gem 'pg'\ngem 'sequel', '~> 5'\n");
    look(f);
    assert_true(found.found);
    assert_string_equal(found.project.tool->name, "sequel");
    migrations_are(f, "db/migrations");
    assert_string_equal(joined(f, found.project.apply, 2), "ruby -e");
}

static void
test_laravel(void **state)
{
    Fixture *f = *state;
    in_path(f, "php");
    put(f, "artisan", "#!/usr/bin/env php\n<?php\n");
    put(f, "composer.json", "{\"require\": {\"laravel/framework\": \"^11\"}}");
    put(f, "database/migrations/a.php", "");
    put(f, ".env",
        "DB_CONNECTION=mysql\nDB_HOST=h\nDB_DATABASE=d\nDB_USERNAME=u\n"
        "DB_PASSWORD=\"a#b\"\n");
    is(f, "laravel", "php artisan migrate --force");
    migrations_are(f, "database/migrations");
    database_is(f, "mysql://u:a%23b@h/d", ".env");
}

static void
test_ecto(void **state)
{
    Fixture *f = *state;
    in_path(f, "mix");
    put(f, "mix.exs", "defp deps do [{:jason, \"~> 1\"}] end");
    nothing(f);
    put(f, "mix.exs", "defp deps do [\n {:ecto_sql, \"~> 3\"}] end");
    is(f, "ecto", "mix ecto.migrate");
    assert_int_equal(unlink(at(f, "mix.exs")), 0);
    program(f, "bin/migrate");
    nothing(f);
    put(f, "releases/start_erl.data", "");
    put(f, "lib/app-1/priv/repo/migrations/1_a.exs", "");
    is(f, "ecto", "bin/migrate");
    migrations_are(f, "lib/app-1/priv/repo/migrations");
}

/* ---- programs of their own ---- */

static void
test_sqitch(void **state)
{
    Fixture *f = *state;
    in_path(f, "sqitch");
    put(f, "sqitch.conf",
        "[core]\n\tengine = pg\n\ttop_dir = db\n"
        "[engine \"pg\"]\n\ttarget = main\n\tregistry = reg\n"
        "[target \"main\"]\n\turi = db:pg://u@h/d\n");
    put(f, "db/deploy/a.sql", "");
    is(f, "sqitch", "sqitch deploy");
    assert_string_equal(found.project.schema, "reg");
    database_is(f, "postgresql://u@h/d", "sqitch.conf");
    DbUrl url;
    assert_true(dburl_parse(f->arena, STR("postgres://me:s%40x@db:5433/app"), &url, &f->err));
    ToolEnvironment how = {.url = STR("postgres://me:s%40x@db:5433/app"), .parsed = &url};
    char **environ_ = tool_environment(f->arena, &found.project, &how);
    assert_string_equal(env_get(environ_, "SQITCH_TARGET"), "db:pg://me@db:5433/app");
    assert_string_equal(env_get(environ_, "SQITCH_PASSWORD"), "s@x");
}

static void
test_sql_migrate(void **state)
{
    Fixture *f = *state;
    in_path(f, "sql-migrate");
    set_variable(f, "PASS", "a b");
    put(f, "dbconfig.yml",
        "development:\n  dialect: postgres\n"
        "  datasource: host=h dbname=d user=u password='${PASS}' "
        "sslmode=disable\n  dir: sql\n  table: t\n"
        "production:\n  dialect: mysql\n"
        "  datasource: u:p:w@tcp(h:3307)/d?parseTime=true\n  dir: sql\n");
    put(f, "sql/1_a.sql", "");
    is(f, "sql-migrate", "sql-migrate up");
    assert_string_equal(found.project.table, "t");
    database_is(f, "postgresql://u:a%20b@h/d?sslmode=disable", "dbconfig.yml, development");
    /* Its own SQL files are no second tool. */
    options.sql_dir = at(f, "sql");
    options.mode = "production";
    is(f, "sql-migrate", "sql-migrate up -env=production");
    database_is(f, "mysql://u:p%3Aw@h:3307/d", "dbconfig.yml, production");
}

static void
test_java(void **state)
{
    Fixture *f = *state;
    in_path(f, "liquibase");
    put(f, "liquibase.properties", "url: jdbc:postgresql://h:5433/d\nusername: u\npassword: p/w\n");
    is(f, "liquibase", "liquibase update");
    database_is(f, "postgresql://u:p%2Fw@h:5433/d", NULL);
    DbUrl url;
    assert_true(
        dburl_parse(f->arena, STR("postgres://me:s%40x@db/app?sslmode=disable"), &url, &f->err));
    ToolEnvironment how = {.url = STR("postgres://me:s%40x@db/app"), .parsed = &url};
    char **environ_ = tool_environment(f->arena, &found.project, &how);
    assert_string_equal(env_get(environ_, "LIQUIBASE_COMMAND_URL"),
                        "jdbc:postgresql://db/app?sslmode=disable");
    assert_string_equal(env_get(environ_, "LIQUIBASE_COMMAND_USERNAME"), "me");
    assert_string_equal(env_get(environ_, "LIQUIBASE_COMMAND_PASSWORD"), "s@x");
    /* SQL that lockstep reads itself, where Flyway is not installed. */
    assert_int_equal(unlink(at(f, "liquibase.properties")), 0);
    put(f, "flyway.conf", "flyway.locations=filesystem:sql,classpath:x\n");
    put(f, "sql/V1__a.sql", "");
    nothing(f);
    assert_string_equal(shown(f, found.sql_dir), "sql");
}

/* ---- choosing ---- */

static void
test_two_tools(void **state)
{
    Fixture *f = *state;
    in_path(f, "node python3");
    put(f, "manage.py", manage_py);
    put(f, "knexfile.js", "");
    program(f, "node_modules/.bin/knex");
    refused(f, "two migration tools were found: Django (manage.py) and Knex (knexfile.js)");
    assert_string_equal(f->err.hint, "Choose one: --tool django or --tool knex (LOCKSTEP_TOOL).");
    options.tool = "knex";
    is(f, "knex", "node_modules/.bin/knex migrate:latest");
    options.tool = "django";
    is(f, "django", "python3 manage.py migrate --noinput");
    options.tool = "auto";
    put(f, "alembic.ini", "[alembic]\nscript_location = a\n");
    refused(f, "three migration tools were found: Django (manage.py), Alembic (alembic.ini) and");
}

static void
test_sql_beside(void **state)
{
    Fixture *f = *state;
    in_path(f, "python3");
    put(f, "manage.py", manage_py);
    put(f, "db/migrations/1_a.sql", "");
    options.sql_dir = at(f, "db/migrations");
    refused(f, "two migration tools were found: Django (manage.py) and SQL files (db/migrations)");
    options.tool = "django";
    is(f, "django", "python3 manage.py migrate --noinput");
    options.tool = "sql";
    nothing(f);
    assert_true(found.sql);
    options.tool = NULL;
    assert_int_equal(unlink(at(f, "manage.py")), 0);
    nothing(f);
    assert_true(found.sql);
    /* The script starts what lockstep does itself. */
    in_path(f, "node npm");
    put(f, "package.json", "{\"scripts\": {\"migrate\": \"dbmate up\"}}");
    nothing(f);
    assert_true(found.sql);
}

static void
test_named(void **state)
{
    Fixture *f = *state;
    in_path(f, "node npm");
    options.tool = "jango";
    refused(f, "'jango' is not a tool that lockstep knows");
    assert_non_null(strstr(f->err.hint, "'django'"));
    options.tool = "knex";
    refused(f, "there is no Knex project in");
    options.tool = "command";
    refused(f, "--tool command needs a command line");
    options.tool = "npm";
    refused(f, "package.json has no script that migrates");
    put(f, "package.json", "{\"scripts\": {\"migrate\": \"knex migrate:latest\"}}");
    is(f, "npm", "npm run migrate");
}

static void
test_command(void **state)
{
    static const struct {
        const char *command, *tool;
    } cases[] = {
        {"./migrate.sh", "command"},
        {"python manage.py migrate --database other", "django"},
        {"npx knex migrate:latest", "knex"},
        {"bundle exec rails db:migrate", "rails"},
        {"poetry run alembic upgrade heads", "alembic"},
        {"python -m flask db upgrade", "flask-migrate"},
        {"npm run anything", "sequelize"},
        {"/opt/bin/sqitch deploy", "sqitch"},
    };
    Fixture *f = *state;
    char **words;
    put(f, "package.json", "{\"scripts\": {\"anything\": \"sequelize db:migrate\"}}");
    put(f, "manage.py", manage_py);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(str_split_words(f->arena, str_of(cases[i].command), &words));
        options.command = words;
        options.elsewhere = true; /* none of them is installed here */
        is(f, cases[i].tool, cases[i].command);
        assert_null(found.project.prefix);
    }
}

static void
test_cannot_look(void **state)
{
    Fixture *f = *state;
    put(f, "package.json", "{\"scripts\": {\n  \"migrate\": nope}}");
    refused(f, "not JSON");
    assert_string_equal(shown(f, f->err.file), "package.json");
    assert_int_equal(f->err.line, 2);
    put(f, "package.json", "[]");
    refused(f, "one JSON object");
    put_bytes(f, "package.json", "{\"a\": \"\xff\"}", 10);
    refused(f, "not JSON");
    put_bytes(f, "package.json", "\xef\xbb\xbf{}", 5);
    nothing(f);
    put_bytes(f, "manage.py", "dja\0ngo", 7);
    nothing(f);
    assert_int_equal(unlink(at(f, "package.json")), 0);
    assert_int_equal(mkdir(at(f, "package.json"), 0755), 0);
    refused(f, "cannot read");
    options.dir = at(f, "nowhere");
    refused(f, "cannot look into");
}

static void
test_environment(void **state)
{
    Fixture *f = *state;
    DbUrl url;
    put(f, "alembic.ini", "[alembic]\nscript_location = a\n");
    in_path(f, "alembic");
    set_variable(f, "PGOPTIONS", "-c a=b");
    set_variable(f, "PGUSER", "weak");
    look(f);
    assert_true(dburl_parse(f->arena, STR("postgres://me:pw@db/app"), &url, &f->err));
    ToolEnvironment how = {.url = STR("postgres://me:pw@db/app"),
                           .parsed = &url,
                           .application_name = "lockstep:1",
                           .lock_timeout_ms = 1000};
    char **environ_ = tool_environment(f->arena, &found.project, &how);
    assert_string_equal(env_get(environ_, "DATABASE_URL"), "postgresql://me:pw@db/app");
    assert_string_equal(env_get(environ_, "SQLALCHEMY_DATABASE_URI"), "postgresql://me:pw@db/app");
    assert_string_equal(env_get(environ_, "PGAPPNAME"), "lockstep:1");
    assert_string_equal(env_get(environ_, "PGOPTIONS"), "-c a=b -c lock_timeout=1000");
    assert_string_equal(env_get(environ_, "PGUSER"), "me");
    assert_null(env_get(environ_, "PGPASSWORD"));
    assert_true(dburl_parse(f->arena, STR("sqlite:/tmp/x.db"), &url, &f->err));
    how = (ToolEnvironment){.url = STR("sqlite:/tmp/x.db"), .parsed = &url, .lock_timeout_ms = 5};
    environ_ = tool_environment(f->arena, &found.project, &how);
    assert_string_equal(env_get(environ_, "DATABASE_URL"), "sqlite:////tmp/x.db");
    assert_string_equal(env_get(environ_, "PGOPTIONS"), "-c a=b");
}

static void
test_table(void **state)
{
    (void)state;
    size_t n = 0;
    for (; tool_names()[n]; n++) {
        assert_ptr_equal(tool_by_name(tool_names()[n]), tool_row((ToolId)n));
        assert_non_null(tool_row((ToolId)n)->title);
        assert_non_null(tool_row((ToolId)n)->runtime);
    }
    assert_int_equal(n, TOOL_COUNT);
    assert_null(tool_by_name("nothing"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_django),
        T(test_django_without_python),
        T(test_manage_py_of_others),
        T(test_alembic),
        T(test_alembic_without_database),
        T(test_alembic_in_pyproject),
        T(test_flask_migrate),
        T(test_flask_in_a_package),
        T(test_yoyo),
        T(test_knex),
        T(test_scripts),
        T(test_scripts_that_are_none),
        T(test_scripts_of_scripts),
        T(test_scripts_with_options),
        T(test_knexfile_of_several_modes),
        T(test_computed_tables),
        T(test_script_and_marker),
        T(test_dependency_tells),
        T(test_no_configuration_of_their_own),
        T(test_typeorm),
        T(test_prisma),
        T(test_prisma_without_its_program),
        T(test_drizzle),
        T(test_drivers_of_manifests),
        T(test_databases_in_code),
        T(test_sequelize),
        T(test_json_databases),
        T(test_graphile),
        T(test_rails),
        T(test_rails_sets_the_mode_it_read),
        T(test_sequel),
        T(test_laravel),
        T(test_ecto),
        T(test_sqitch),
        T(test_sql_migrate),
        T(test_java),
        T(test_two_tools),
        T(test_sql_beside),
        T(test_named),
        T(test_command),
        T(test_cannot_look),
        T(test_environment),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
