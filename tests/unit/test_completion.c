/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts: every name is in them, and the shells that are here parse them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/cmd.h"

enum { CEILING = 1 << 20 };

/* `shell -n FILE`; -1 when the shell is not here. */
static int
check_syntax(const char *shell, Str script)
{
    char path[] = "/tmp/lockstep-completion-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script.p, script.n), script.n);
    close(fd);
    pid_t pid = fork();
    if (pid == 0) {
        execlp(shell, shell, "-n", path, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    return WEXITSTATUS(status) == 127 ? -1 : WEXITSTATUS(status);
}

static void
scripts_hold_every_name(void **state)
{
    (void)state;
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        SCRATCH_ARENA(arena);
        StrBuf out = strbuf_new(arena, CEILING);
        assert_true(completion_write(&out, shells[i]));
        for (const Command *c = commands; c->name != NULL; c++)
            assert_non_null(strstr(out.p, c->name));
        for (size_t k = 0; k < SET_COUNT; k++)
            assert_non_null(strstr(out.p, setting_row((SettingId)k)->flag));
        int status = check_syntax(shells[i], strbuf_str(&out));
        if (status == -1)
            print_message("%s is not installed: its script was not parsed\n", shells[i]);
        else
            assert_int_equal(status, 0);
    }
}

/* `check --format` is not the setting `--format`: offered once, with its own values. */
static void
an_option_of_a_settings_name_replaces_it(void **state)
{
    (void)state;
    static const struct {
        const char *shell, *says;
    } cases[] = {
        {"zsh", "check) options=(${options:#--format=*}) options+=(\n"},
        {"fish", "-n 'not __fish_seen_subcommand_from check' -l format -x -a 'auto "},
        {"fish", "-n '__fish_seen_subcommand_from check' -l format -x -a 'text "},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        SCRATCH_ARENA(arena);
        StrBuf out = strbuf_new(arena, CEILING);
        assert_true(completion_write(&out, cases[i].shell));
        assert_non_null(strstr(out.p, cases[i].says));
    }
}

static void
other_shells_are_refused(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    StrBuf out = strbuf_new(arena, CEILING);
    assert_false(completion_write(&out, "tcsh"));
    assert_int_equal(out.n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_hold_every_name),
        cmocka_unit_test(an_option_of_a_settings_name_replaces_it),
        cmocka_unit_test(other_shells_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
