/* SPDX-License-Identifier: Apache-2.0 */
/* Manual pages: every name is in one, nothing in the tables can be taken for roff, and the example
 * of lockstep.yaml is one that the program reads. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/cmd.h"

enum { CEILING = 1 << 20 };

static const char *
page(Arena *arena, const char *topic)
{
    StrBuf out = strbuf_new(arena, CEILING);
    assert_true(man_write(&out, topic));
    return out.p;
}

static const char *
roff(Arena *arena, const char *text)
{
    StrBuf out = strbuf_new(arena, CEILING);
    man_text(&out, text);
    return out.p;
}

/* "lock-wait" as a page holds it. */
static const char *
escaped(Arena *arena, const char *name)
{
    StrBuf out = strbuf_new(arena, CEILING);
    for (const char *p = name; *p != '\0'; p++)
        strbuf_puts(&out, *p == '-' ? "\\-" : (char[]){*p, '\0'});
    return out.p;
}

static void
holds(const char *text, const char *needle)
{
    if (strstr(text, needle) == NULL)
        fail_msg("'%s' is not in the page that begins with: %.160s", needle, text);
}

static void
holds_flag(Arena *arena, const char *text, const char *flag)
{
    holds(text, str_printf(arena, "\n\\fB\\-\\-%s\\fR", escaped(arena, flag)));
}

/* The group of `row` is one of the command's. */
static bool
matters(Arena *arena, const Command *command, const SettingRow *row)
{
    return strcmp(command->settings, "*") == 0 ||
           strstr(str_printf(arena, ",%s,", command->settings),
                  str_printf(arena, ",%s,", row->group));
}

static void
every_command_has_its_page(void **state)
{
    (void)state;
    for (const Command *c = commands; c->name != NULL; c++) {
        SCRATCH_ARENA(arena);
        const char *text = page(arena, c->name), *name = escaped(arena, c->name);
        holds(text, str_printf(arena, ".TH \"lockstep\\-%s\" 1 \"\" \"lockstep ", name));
        holds(text, str_printf(arena, "\n.SH NAME\nlockstep\\-%s \\- ", name));
        holds(text, str_printf(arena, "\\fBlockstep %s\\fR", name));
        for (const CommandOption *o = c->options; o && o->flag; o++)
            holds_flag(arena, text, o->flag);
        for (size_t i = 0; i < SET_COUNT && c->settings; i++)
            if (matters(arena, c, setting_row((SettingId)i)))
                holds_flag(arena, text, setting_row((SettingId)i)->flag);
        if (c->alias) {
            holds(text, str_printf(arena, "\\fBlockstep %s\\fR", c->alias));
            assert_string_equal(page(arena, c->alias), text);
        }
    }
}

static void
the_overview_holds_every_name(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    const char *text = page(arena, NULL);
    holds(text, ".TH \"lockstep\" 1 \"\" \"lockstep ");
    for (const Command *c = commands; c->name != NULL; c++) {
        const char *name = escaped(arena, c->name);
        holds(text, str_printf(arena, "\n.TP\n\\fB%s\\fR", name));
        holds(text, str_printf(arena, "\n.BR lockstep\\-%s (1),\n", name));
    }
    holds(text, "\n.BR lockstep.yaml (5)\n");
    for (const CommonOption *o = common_options; o->flag != NULL; o++)
        holds(text, str_printf(arena, "\n\\fB\\-%c\\fR, \\fB\\-\\-%s\\fR\n", o->letter, o->flag));
    for (size_t i = 0; i < SET_COUNT; i++) {
        const SettingRow *row = setting_row((SettingId)i);
        holds_flag(arena, text, row->flag);
        if (row->variable[0])
            holds(text, str_printf(arena, "\n\\fB%s\\fR\n", row->variable));
    }
    for (size_t i = 0; i < ERROR_COUNT; i++)
        holds(text, str_printf(arena, "\n\\fB%s\\fR\n", help_exit_status(arena, (ErrorCode)i)));
}

static void
the_page_of_the_file_holds_every_key(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    const char *text = page(arena, "lockstep.yaml");
    holds(text, ".TH \"lockstep.yaml\" 5 ");
    for (size_t i = 0; i < SET_COUNT; i++)
        if (setting_row((SettingId)i)->key)
            holds(text, str_printf(arena, "\n\\fB%s\\fR: ", setting_row((SettingId)i)->key));
    for (const FilePart *part = file_parts; part->name != NULL; part++)
        holds(text, str_printf(arena, "\n\\fB%s\\fR: ", part->name));
}

static void
other_pages_are_refused(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    static const char *const topics[] = {"", "settings", "lockstep", "lockstep-run",
                                         "lockstep.yml"};
    for (size_t i = 0; i < COUNT_OF(topics); i++) {
        StrBuf out = strbuf_new(arena, CEILING);
        assert_false(man_write(&out, topics[i]));
        assert_int_equal(out.n, 0);
    }
}

static void
specials_are_escaped(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    assert_string_equal(roff(arena, ".so /etc/passwd"), "\\&.so /etc/passwd\n");
    assert_string_equal(roff(arena, "'br"), "\\(aqbr\n");
    assert_string_equal(roff(arena, "a.b 'c' \"d\""), "a.b \\(aqc\\(aq \\(dqd\\(dq\n");
    assert_string_equal(roff(arena, "\\fB \\n"), "\\(rsfB \\(rsn\n");
    assert_string_equal(roff(arena, "--a-b ~/x ^"), "\\-\\-a\\-b \\(ti/x \\(ha\n");
    assert_string_equal(roff(arena, "one\n.two\n\n'three"), "one\n.br\n\\&.two\n.PP\n\\(aqthree\n");
    assert_string_equal(roff(arena, "So. .X is one. It is"), "So. .X is one.\nIt is\n");
}

static void
code_is_bold(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    assert_string_equal(roff(arena, "see `a --b`. `.c` too"),
                        "see \\fBa \\-\\-b\\fR.\n\\fB.c\\fR too\n");
    assert_string_equal(roff(arena, "a ` alone"), "a \\(ga alone\n");
    assert_string_equal(roff(arena, "``"), "\\fB\\fR\n");
}

/* The only control lines are those of man.c itself. */
static void
check_lines(const char *text)
{
    static const char *const known[] = {".\\\"", ".TH", ".nr", ".ad", ".SH", ".SS", ".TP", ".PP",
                                        ".br",   ".BR", ".I ", ".RS", ".RE", ".EX", ".EE", ".PD"};
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        bool fine = *line != '.' && *line != '\'' && length > 0;
        for (size_t i = 0; i < COUNT_OF(known) && !fine; i++)
            fine = strncmp(line, known[i], 3) == 0;
        if (!fine)
            fail_msg("no line of a page: '%.*s'", (int)length, line);
        assert_int_equal(line[length], '\n');
        line += length + 1;
    }
}

static void
no_line_is_a_request_by_accident(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    check_lines(page(arena, NULL));
    check_lines(page(arena, "lockstep.yaml"));
    for (const Command *c = commands; c->name != NULL; c++)
        check_lines(page(arena, c->name));
}

/* The lines between .EX and .EE, as a reader sees them. */
static char *
example_of(Arena *arena, const char *text)
{
    const char *from = strstr(text, "\n.EX\n"), *to = strstr(text, "\n.EE\n");
    assert_non_null(from);
    assert_non_null(to);
    StrBuf out = strbuf_new(arena, CEILING);
    for (const char *p = from + 5; p <= to; p++) {
        if (strncmp(p, "\\(dq", 4) == 0) {
            strbuf_addc(&out, '"');
            p += 3;
        } else if (*p != '\\') {
            strbuf_addc(&out, *p);
        }
    }
    return out.p;
}

static void
the_example_file_is_read(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    const char *example = example_of(arena, page(arena, "lockstep.yaml"));
    char path[] = "/tmp/lockstep-man-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, example, strlen(example)), strlen(example));
    close(fd);
    FlagValues flags = {0};
    *vec_push(arena, &flags) = (FlagValue){.id = SET_CONFIG, .text = path};
    *vec_push(arena, &flags) =
        (FlagValue){.id = SET_ENVIRONMENT, .text = str_dup(arena, STR("production"))};
    Settings settings;
    Error err = ERROR_INIT;
    bool read = settings_load(arena, &flags, (char *const[]){NULL}, &settings, &err);
    unlink(path);
    if (!read)
        fail_msg("%s (line %zu)", err.message, err.line);
    assert_string_equal(setting_text(&settings, SET_EXPECT_VERSION), "15");
    assert_int_equal(setting_ms(&settings, SET_LOCK_TIMEOUT), 2000);
    assert_int_equal(setting_ms(&settings, SET_STATEMENT_TIMEOUT), 600000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_its_page),
        cmocka_unit_test(the_overview_holds_every_name),
        cmocka_unit_test(the_page_of_the_file_holds_every_key),
        cmocka_unit_test(other_pages_are_refused),
        cmocka_unit_test(specials_are_escaped),
        cmocka_unit_test(code_is_bold),
        cmocka_unit_test(no_line_is_a_request_by_accident),
        cmocka_unit_test(the_example_file_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
