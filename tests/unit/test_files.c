/* SPDX-License-Identifier: Apache-2.0 */
/* Platform files: what is known of a project, and what is planned beside what is there. */

#include "folder_fixture.h"

#include "core/env.h"
#include "deploy/files.h"

#include "core/banned.h"

typedef struct Fixture {
    Arena *arena;
    char *dir;
    FactsOptions options;
    Facts facts;
    Error err;
} Fixture;

static int
setup(void **state)
{
    Arena *arena = arena_new();
    Fixture *f = arena_make(arena, Fixture);
    f->arena = arena;
    f->dir = str_dup(arena, STR("/tmp/Web.Shop-XXXXXX"));
    f->err = ERROR_INIT;
    assert_non_null(mkdtemp(f->dir));
    f->options = (FactsOptions){.dir = f->dir};
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    Fixture *f = *state;
    remove_tree(f->arena, f->dir);
    arena_free(f->arena);
    return 0;
}

static void
put(Fixture *f, const char *name, const char *text)
{
    write_below(f->arena, f->dir, name, text, strlen(text));
}

static void
look(Fixture *f)
{
    assert_true(facts_find(f->arena, &f->options, &f->facts, &f->err));
}

static void
refused(Fixture *f, const char *message)
{
    f->err = ERROR_INIT;
    assert_false(facts_find(f->arena, &f->options, &f->facts, &f->err));
    assert_int_equal(f->err.code, ERROR_USAGE);
    assert_non_null(strstr(f->err.message, message));
}

/* ---- facts ---- */

static void
empty_directory(void **state)
{
    Fixture *f = *state;
    look(f);
    assert_memory_equal(f->facts.app, "web-shop-", 9);
    assert_int_equal(f->facts.port, 8080);
    assert_null(f->facts.program);
    assert_null(f->facts.entrypoint);
    assert_null(f->facts.image_from);
}

static void
names(void **state)
{
    Fixture *f = *state;
    static const char *const labels[][2] = {
        {"{\"name\": \"@acme/My__Shop \"}", "my-shop"},
        {"{\"name\": \"\\u00e9t\\u00e9\"}", "t"},
        {"{\"name\": \"a123456789-123456789-123456789-123456789-1\"}",
         "a123456789-123456789-123456789-123456789"},
    };
    for (size_t i = 0; i < COUNT_OF(labels); i++) {
        put(f, "package.json", labels[i][0]);
        look(f);
        assert_string_equal(f->facts.app, labels[i][1]);
    }
    /* Nothing of it is left: the next that knows one. */
    put(f, "package.json", "{\"name\": \"7\"}");
    put(f, "pyproject.toml",
        "[tool.x]\nname = \"no\"\n[project]\nname='yes'\n[other]\nname = \"no\"\n");
    look(f);
    assert_string_equal(f->facts.app, "yes");
    assert_string_equal(f->facts.app_from, "pyproject.toml");
}

typedef struct Line {
    const char *dockerfile, *shell, *first;
    size_t words;
} Line;

static void
programs_of_a_dockerfile(void **state)
{
    Fixture *f = *state;
    static const Line lines[] = {
        {"CMD [\"a\", \"it's\"]", "a 'it'\\''s'", "a", 2},
        {"CMD a \\\n  # about b\n  b \\\n", "a b", "a", 2},
        {"CMD a\ncmd b c", "b c", "b", 2},
        {"CMD FOO=1 a", "FOO=1 a", "/bin/sh", 3},
        {"CMD a 'b", "a 'b", "/bin/sh", 3},
        {"CMD a | b", "a | b", "/bin/sh", 3},
        {"CMD []", NULL, NULL, 0},
        {"CMD", NULL, NULL, 0},
        {"CMD a\nFROM scratch", NULL, NULL, 0},
        {"CMDS a\n# CMD b", NULL, NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        put(f, "Dockerfile", str_printf(f->arena, "FROM x\n%s", lines[i].dockerfile));
        look(f);
        size_t n = 0;
        while (f->facts.program && f->facts.program[n])
            n++;
        if (n != lines[i].words)
            fail_msg("%s: %zu words", lines[i].dockerfile, n);
        if (n) {
            assert_string_equal(f->facts.program_shell, lines[i].shell);
            assert_string_equal(f->facts.program[0], lines[i].first);
        }
    }
}

static void
ports_and_entrypoints(void **state)
{
    Fixture *f = *state;
    put(f, "Dockerfile",
        "FROM x\nEXPOSE 81/tcp 82\nENTRYPOINT [\"/usr/bin/lockstep\", \"run\", \"--\"]\n");
    look(f);
    assert_int_equal(f->facts.port, 81);
    assert_true(f->facts.entrypoint_is_lockstep);
    put(f, "Dockerfile", "FROM x\nEXPOSE $PORT\nENTRYPOINT /start\n");
    look(f);
    assert_int_equal(f->facts.port, 8080);
    assert_string_equal(f->facts.entrypoint, "/start");
    assert_false(f->facts.entrypoint_is_lockstep);
    put(f, "Dockerfile", "FROM x\nEXPOSE 99999\nENTRYPOINT [ ]\n");
    f->options.port = "83";
    look(f);
    assert_int_equal(f->facts.port, 83);
    assert_null(f->facts.entrypoint);
}

static void
what_is_said_is_checked(void **state)
{
    Fixture *f = *state;
    f->options.port = "8o";
    refused(f, "'8o' is not a port");
    char line[] = "a\nb";
    char *const words[] = {line, NULL};
    f->options = (FactsOptions){.dir = f->dir, .program = words};
    refused(f, "control character");
    f->options = (FactsOptions){.dir = f->dir, .image = line};
    refused(f, "is not the name of an image");
    f->options = (FactsOptions){.dir = f->dir, .app = "-x"};
    refused(f, "'-x' cannot be the name of an application");
    f->options = (FactsOptions){.dir = f->dir, .probe = "http://h/a b"};
    refused(f, "is not a path to ask the service for");
    f->options.probe = "https://shop.example.com:8443/ready?full=1";
    refused(f, "is not a path to ask the service for");
    f->options.probe = "https://shop.example.com:8443/ready";
    look(f);
    assert_string_equal(f->facts.probe, "/ready");
    f->options.probe = "https://shop.example.com";
    look(f);
    assert_null(f->facts.probe);
}

/* ---- the plan ---- */

static const DeployPlatform *
platform(Fixture *f, const char *name)
{
    const DeployPlatform *found = deploy_platform_find(name, &f->err);
    assert_non_null(found);
    return found;
}

static void
plan(Fixture *f, const char *name, FilesPlan *ret)
{
    look(f);
    assert_true(files_plan(f->arena, platform(f, name), &f->facts, f->dir, ret, &f->err));
}

static void
states(void **state)
{
    Fixture *f = *state;
    FilesPlan p;
    plan(f, "fly", &p);
    assert_int_equal(p.files.n, 1); /* no program, so no Dockerfile, and a note of that */
    assert_int_equal(p.notes.n, 1);
    assert_int_equal(p.files.p[0].state, PLANNED_NEW);
    assert_true(files_write(&p.files.p[0], f->dir, &f->err));
    plan(f, "fly", &p);
    assert_int_equal(p.files.p[0].state, PLANNED_SAME);
    /* Other indentation, other lines around: it has what matters. */
    put(f, "fly.toml",
        "app = \"x\"\n[deploy]\nrelease_command = \"lockstep migrate\"\n"
        "release_command_timeout = \"30m\"\n[env]\n");
    plan(f, "fly", &p);
    assert_int_equal(p.files.p[0].state, PLANNED_HAS);
    put(f, "fly.toml", "[deploy]\nrelease_command = \"rake db:migrate\"\n");
    plan(f, "fly", &p);
    assert_int_equal(p.files.p[0].state, PLANNED_OTHER);
    assert_true(str_find_str(p.files.p[0].add, STR("release_command")) < p.files.p[0].add.n);
}

static void
program_is_needed(void **state)
{
    Fixture *f = *state;
    FilesPlan p;
    look(f);
    assert_false(files_plan(f->arena, platform(f, "heroku"), &f->facts, f->dir, &p, &f->err));
    assert_int_equal(f->err.code, ERROR_USAGE);
    assert_non_null(strstr(f->err.hint, "lockstep init heroku -- "));
}

static void
words_of_a_program_are_escaped(void **state)
{
    Fixture *f = *state;
    FilesPlan p;
    char one[] = "a", two[] = "\"b\\", three[] = "@APP@";
    char *const words[] = {one, two, three, NULL};
    f->options.program = words;
    plan(f, "docker", &p);
    Str text = p.files.p[0].text;
    /* What stands in a value is not taken for a place. */
    assert_true(str_find_str(text, STR("CMD [\"a\", \"\\\"b\\\\\", \"@APP@\"]")) < text.n);
}

static void
unknown_platform(void **state)
{
    Fixture *f = *state;
    assert_null(deploy_platform_find("kubernets", &f->err));
    assert_non_null(strstr(f->err.hint, "`kubernetes`"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(empty_directory),          TEST(names),
        TEST(programs_of_a_dockerfile), TEST(ports_and_entrypoints),
        TEST(what_is_said_is_checked),  TEST(states),
        TEST(program_is_needed),        TEST(words_of_a_program_are_escaped),
        TEST(unknown_platform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
