/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, wrapped paragraphs, JSON text of any bytes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/cmd.h"
#include "cmd/output.h"

enum { CEILING = 1 << 20 };

static void
tables_align_and_leave_no_blanks(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    static const char *const titles[] = {"NAME", "TOOK", "STATE"};
    Table table = table_new(arena, "<><", titles);
    table_add(&table, STR("gr\xc3\xbc\xc3\x9f"));
    table_add(&table, STR("12 ms"));
    table_add(&table, STR("applied"));
    table_add(&table, STR("x"));
    table_add(&table, STR_ABSENT);
    table_add(&table, STR_ABSENT);
    StrBuf out = strbuf_new(arena, CEILING);
    table_print(&table, &out, "  ", false);
    assert_string_equal(out.p, "  NAME   TOOK  STATE\n"
                               "  gr\xc3\xbc\xc3\x9f  12 ms  applied\n"
                               "  x\n");
}

static void
cells_cannot_move_the_cursor(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    static const char *const titles[] = {"N"};
    Table table = table_new(arena, "<", titles);
    table_add(&table, STR("a\033[2Jb\nc\x7f"));
    StrBuf out = strbuf_new(arena, CEILING);
    table_print(&table, &out, "", false);
    assert_string_equal(out.p, "N\na?[2Jb?c?\n");
}

static void
paragraphs_wrap_at_80(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    StrBuf words = strbuf_new(arena, CEILING);
    for (int i = 0; i < 60; i++)
        strbuf_puts(&words, "word ");
    StrBuf out = strbuf_new(arena, CEILING);
    output_wrap(&out, words.p, 0, 6);
    size_t column = 0;
    for (const char *p = out.p; *p != '\0'; p++) {
        column = *p == '\n' ? 0 : column + 1;
        assert_true(column <= 80);
    }
    assert_memory_equal(out.p, "      word word", 15);
    assert_null(strstr(out.p, " \n"));
}

static void
a_word_longer_than_a_line_stands_alone(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    char text[120];
    memset(text, 'x', sizeof text);
    text[1] = ' ';
    text[sizeof text - 1] = '\0';
    StrBuf out = strbuf_new(arena, CEILING);
    output_wrap(&out, text, 0, 0);
    assert_memory_equal(out.p, "x\nxxx", 5);
}

static void
paragraphs_keep_empty_lines(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    StrBuf out = strbuf_new(arena, CEILING);
    output_wrap(&out, "one\n\ntwo", 0, 2);
    assert_string_equal(out.p, "  one\n\n  two\n");
}

static void
json_takes_any_bytes(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    json_t *bad = output_json_text(arena, STR("a\xff"
                                              "b"));
    assert_string_equal(json_string_value(bad), "a?b");
    json_t *none = output_json_text(arena, STR_ABSENT);
    assert_true(json_is_null(none));
    json_t *empty = output_json_text(arena, STR(""));
    assert_string_equal(json_string_value(empty), "");
    json_decref(bad);
    json_decref(none);
    json_decref(empty);
}

static void
help_fits_80_columns(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    StrBuf out = strbuf_new(arena, CEILING);
    help_overview(&out, false);
    help_settings(&out, false);
    for (const Command *c = commands; c->name != NULL; c++)
        help_command(&out, c, false);
    size_t column = 0, begin = 0;
    for (size_t i = 0; i < out.n; i++) {
        column = out.p[i] == '\n' ? 0 : column + 1;
        begin = out.p[i] == '\n' ? i + 1 : begin;
        /* A flag with all its choices may be longer: it is one word. */
        if (column > 80 && strncmp(out.p + begin, "  --", 4) != 0)
            fail_msg("too long: %.*s", 90, out.p + begin);
    }
    for (size_t i = 0; i < SET_COUNT; i++)
        assert_non_null(strstr(out.p, setting_row((SettingId)i)->flag));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_align_and_leave_no_blanks),
        cmocka_unit_test(cells_cannot_move_the_cursor),
        cmocka_unit_test(paragraphs_wrap_at_80),
        cmocka_unit_test(a_word_longer_than_a_line_stands_alone),
        cmocka_unit_test(paragraphs_keep_empty_lines),
        cmocka_unit_test(json_takes_any_bytes),
        cmocka_unit_test(help_fits_80_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
