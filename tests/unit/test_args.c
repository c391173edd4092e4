/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: where options may stand, what is refused and what is suggested. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/cmd.h"

#define ARGS(...) ((char *const[]){(char[]){"lockstep"}, __VA_ARGS__ __VA_OPT__(, ) NULL})
#define W(word)   ((char[]){word})

static Arena *arena;
static Error err;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static bool
parse(char *const *argv, Invocation *ret)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    return args_parse(arena, argc, argv, ret, &err);
}

static const char *
option(const Invocation *said, const char *flag)
{
    for (size_t i = 0; said->command->options[i].flag != NULL; i++)
        if (strcmp(said->command->options[i].flag, flag) == 0)
            return said->options[i];
    fail_msg("no such option");
    return NULL;
}

static const char *
setting(const Invocation *said, SettingId id)
{
    const char *text = NULL;
    for (size_t i = 0; i < said->flags.n; i++)
        if (said->flags.p[i].id == id)
            text = said->flags.p[i].text ? said->flags.p[i].text : "(bare)";
    return text;
}

static void
options_stand_before_and_after(void **state)
{
    (void)state;
    Invocation said;
    assert_true(
        parse(ARGS(W("--dir"), W("db"), W("--check"), W("status"), W("--url=sqlite:x.db")), &said));
    assert_string_equal(said.command->name, "status");
    assert_string_equal(setting(&said, SET_DIR), "db");
    assert_string_equal(setting(&said, SET_URL), "sqlite:x.db");
    assert_string_equal(option(&said, "check"), "");
    assert_null(option(&said, "json"));
    assert_null(said.args[0]);
}

static void
values_may_hold_anything(void **state)
{
    (void)state;
    Invocation said;
    assert_true(
        parse(ARGS(W("rollback"), W("--to=a=b"), W("--dir"), W("-x"), W("--table=")), &said));
    assert_string_equal(option(&said, "to"), "a=b");
    assert_string_equal(setting(&said, SET_DIR), "-x");
    assert_string_equal(setting(&said, SET_TABLE), "");
}

static void
booleans_have_three_forms(void **state)
{
    (void)state;
    Invocation said;
    assert_true(parse(ARGS(W("migrate"), W("--create")), &said));
    assert_string_equal(setting(&said, SET_CREATE), "(bare)");
    assert_true(parse(ARGS(W("migrate"), W("--no-create")), &said));
    assert_string_equal(setting(&said, SET_CREATE), "false");
    assert_true(parse(ARGS(W("run"), W("--migrate=off"), W("x")), &said));
    assert_string_equal(setting(&said, SET_MIGRATE), "off");
    assert_true(parse(ARGS(W("run"), W("--migrate"), W("false"), W("x")), &said));
    assert_string_equal(setting(&said, SET_MIGRATE), "false");
    assert_string_equal(said.program[0], "x");
    /* A switch takes no word of its own: `true` is the program. */
    assert_true(parse(ARGS(W("run"), W("--create"), W("true")), &said));
    assert_string_equal(said.program[0], "true");
}

static void
run_leaves_its_program_alone(void **state)
{
    (void)state;
    Invocation said;
    assert_true(
        parse(ARGS(W("run"), W("--dir"), W("m"), W("--"), W("--odd"), W("--dir"), W("--")), &said));
    assert_string_equal(said.program[0], "--odd");
    assert_string_equal(said.program[1], "--dir");
    assert_string_equal(said.program[2], "--");
    assert_null(said.program[3]);
    assert_true(parse(ARGS(W("run"), W("node"), W("--help"), W("--"), W("x")), &said));
    assert_false(said.help);
    assert_string_equal(said.program[0], "node");
    assert_string_equal(said.program[1], "--help");
    assert_string_equal(said.program[2], "--");
    assert_true(parse(ARGS(W("--"), W("run"), W("--x")), &said));
    assert_string_equal(said.program[0], "--x");
}

static void
run_needs_a_program(void **state)
{
    (void)state;
    Invocation said;
    assert_false(parse(ARGS(W("run")), &said));
    assert_int_equal(err.code, ERROR_USAGE);
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("run"), W("--")), &said));
    assert_non_null(strstr(err.hint, "lockstep run -- PROGRAM"));
    err = ERROR_INIT;
    assert_true(parse(ARGS(W("run"), W("--help")), &said));
    assert_true(said.help);
}

static void
unknown_words_are_named(void **state)
{
    (void)state;
    Invocation said;
    assert_false(parse(ARGS(W("migrat")), &said));
    assert_non_null(strstr(err.message, "'migrat'"));
    assert_non_null(strstr(err.hint, "lockstep migrate"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("run"), W("--lock-wiat=1"), W("x")), &said));
    assert_non_null(strstr(err.message, "'--lock-wiat'"));
    assert_non_null(strstr(err.hint, "--lock-wait"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("migrate"), W("--check")), &said));
    assert_non_null(strstr(err.hint, "lockstep status"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("status"), W("-z")), &said));
    assert_non_null(strstr(err.message, "'-z'"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("status"), W("--=x")), &said));
    assert_int_equal(err.code, ERROR_USAGE);
}

static void
values_are_asked_for_and_refused(void **state)
{
    (void)state;
    Invocation said;
    assert_false(parse(ARGS(W("migrate"), W("--dir")), &said));
    assert_non_null(strstr(err.message, "needs a value"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("status"), W("--check=yes")), &said));
    assert_non_null(strstr(err.message, "takes no value"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("status"), W("--help=yes")), &said));
    assert_non_null(strstr(err.message, "takes no value"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("migrate"), W("--no-create=1")), &said));
    assert_non_null(strstr(err.message, "takes no value"));
}

static void
arguments_are_counted(void **state)
{
    (void)state;
    Invocation said;
    assert_false(parse(ARGS(W("new")), &said));
    assert_non_null(strstr(err.message, "NAME"));
    err = ERROR_INIT;
    assert_false(parse(ARGS(W("status"), W("extra")), &said));
    assert_non_null(strstr(err.message, "'extra'"));
    err = ERROR_INIT;
    assert_true(parse(ARGS(W("new"), W("--"), W("--name")), &said));
    assert_string_equal(said.args[0], "--name");
}

static void
aliases_and_short_forms(void **state)
{
    (void)state;
    Invocation said;
    assert_true(parse(ARGS(W("up"), W("-q")), &said));
    assert_string_equal(said.command->name, "migrate");
    assert_string_equal(setting(&said, SET_LOG_LEVEL), "error");
    assert_true(parse(ARGS(W("-V")), &said));
    assert_true(said.version);
    assert_true(parse((char *const[]){W("lockstep"), NULL}, &said));
    assert_null(said.command);
    assert_true(parse((char *const[]){NULL}, &said));
}

static void
format_is_told_by_its_value(void **state)
{
    (void)state;
    Invocation said;
    assert_true(parse(ARGS(W("check"), W("--format"), W("sarif")), &said));
    assert_null(setting(&said, SET_FORMAT));
    assert_string_equal(option(&said, "format"), "sarif");
    assert_true(parse(ARGS(W("--format=github"), W("check"), W("--format"), W("goose")), &said));
    assert_string_equal(setting(&said, SET_FORMAT), "goose");
    assert_string_equal(option(&said, "format"), "github");
    assert_true(parse(ARGS(W("migrate"), W("--format"), W("sarif")), &said));
    assert_string_equal(setting(&said, SET_FORMAT), "sarif"); /* refused with the settings */
}

/* What args.c relies on: a name takes an argument in every command or in none, and settings share
 * names with options only where the value tells them apart. */
static void
the_tables_agree(void **state)
{
    (void)state;
    for (const Command *a = commands; a->name != NULL; a++) {
        assert_non_null(a->run);
        assert_non_null(a->summary);
        assert_ptr_equal(command_find(str_of(a->name)), a);
        for (const CommandOption *x = a->options; x && x->flag; x++) {
            bool negated;
            const SettingRow *row = setting_by_flag(str_of(x->flag), &negated);
            assert_true(row == NULL || (row->arg && x->arg && strchr(x->arg, '|')));
            for (const Command *b = commands; b->name != NULL; b++)
                for (const CommandOption *y = b->options; y && y->flag; y++)
                    if (strcmp(x->flag, y->flag) == 0)
                        assert_true((x->arg == NULL) == (y->arg == NULL));
        }
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(options_stand_before_and_after),
        TEST(values_may_hold_anything),
        TEST(booleans_have_three_forms),
        TEST(run_leaves_its_program_alone),
        TEST(run_needs_a_program),
        TEST(unknown_words_are_named),
        TEST(values_are_asked_for_and_refused),
        TEST(arguments_are_counted),
        TEST(aliases_and_short_forms),
        TEST(format_is_told_by_its_value),
        TEST(the_tables_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
