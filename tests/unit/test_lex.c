/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of the three dialects: quotes and comments above all, closed and not. */

#include "sql/lex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/banned.h"

static const SqlOptions postgres = {.dialect = SQL_POSTGRES};
static const SqlOptions mysql = {.dialect = SQL_MYSQL};
static const SqlOptions sqlite = {.dialect = SQL_SQLITE};

/* All tokens, a letter for the kind before each: `wSELECT s'a' .;`. */
static const char *
tokens(Arena *arena, const SqlOptions *options, const char *text)
{
    static const char letters[] = {
        [TOKEN_WORD] = 'w', [TOKEN_NAME] = 'n',      [TOKEN_STRING] = 's', [TOKEN_SYMBOL] = '.',
        [TOKEN_GATE] = 'g', [TOKEN_DELIMITER] = 'd', [TOKEN_BAD] = '?'};
    StrBuf out = strbuf_new(arena, 1 << 20);
    Lexer lex = lexer_new(str_of(text), options);
    strbuf_puts(&out, "");
    for (;;) {
        Token t = lex_next(&lex);
        if (t.kind == TOKEN_END)
            break;
        if (out.n)
            strbuf_addc(&out, ' ');
        strbuf_addc(&out, letters[t.kind]);
        strbuf_add(&out, lex_text(&lex, &t));
        if (t.kind == TOKEN_BAD)
            break;
    }
    strbuf_addc(&out, '\0');
    return out.p;
}

typedef struct Case {
    const SqlOptions *options;
    const char *text, *want;
} Case;

static void
check(const Case *cases, size_t count)
{
    SCRATCH_ARENA(arena);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(tokens(arena, cases[i].options, cases[i].text), cases[i].want);
}

static void
test_common(void **state)
{
    (void)state;
    static const Case cases[] = {
        {&postgres, "", ""},
        {&postgres, " \t\r\n\f-- a\n/* b */", ""},
        {&postgres, "select 1;", "wselect w1 .;"},
        {&mysql, "a.b+'it''s'", "wa .. wb .+ s'it''s'"},
        {&sqlite, "a-->b", "wa"},
        {&postgres, "\xc3\xa9t\xc3\xa9 x", "w\xc3\xa9t\xc3\xa9 wx"},
        {&sqlite, "'a", "?'a"},
        {&sqlite, "\"a\"\"b\" c", "n\"a\"\"b\" wc"},
    };
    check(cases, COUNT_OF(cases));
}

static void
test_postgres(void **state)
{
    (void)state;
    static const Case cases[] = {
        {&postgres, "'a\\' b", "s'a\\' wb"},
        {&postgres, "E'a\\' b' c", "sE'a\\' b' wc"},
        {&postgres, "e'a'\n -- x\n 'b\\' c' d", "se'a'\n -- x\n 'b\\' c' wd"},
        {&postgres, "e'a' 'b\\' c", "se'a' s'b\\' wc"},
        {&postgres, "fe'a\\' b", "wfe s'a\\' wb"},
        {&postgres, "U&'d\\0061' U&\"x\"\"y\" u & x", "sU&'d\\0061' nU&\"x\"\"y\" wu .& wx"},
        {&postgres, "$$ ; $a$ $$ x", "s$$ ; $a$ $$ wx"},
        {&postgres, "$a$ $$ $b$ $a$;", "s$a$ $$ $b$ $a$ .;"},
        {&postgres, "$a$ $ba$a$ x", "s$a$ $ba$a$ wx"},
        {&postgres, "a$$b $1 1$$x$$", "wa$$b .$ w1 w1 s$$x$$"},
        {&postgres, "$\xc3\xa9$ x $\xc3\xa9$", "s$\xc3\xa9$ x $\xc3\xa9$"},
        {&postgres, "/* a /* b */ ; */ x", "wx"},
        {&postgres, "a /* b /* c */", "wa ?/* b /* c */"},
        {&postgres, "-- a\rb", "wb"},
        {&postgres, "$a$ b $A$", "?$a$ b $A$"},
        {&postgres, "`a`", ".` wa .`"},
        {&postgres, "E'a\\'", "?E'a\\'"},
        {&postgres, "U&\"a", "?U&\"a"},
        {&postgres, "[1]", ".[ w1 .]"},
        {&postgres, "a # b", "wa .# wb"},
    };
    check(cases, COUNT_OF(cases));
}

static void
test_mysql(void **state)
{
    (void)state;
    static const SqlOptions plain = {.dialect = SQL_MYSQL, .no_backslash_escapes = true};
    static const SqlOptions ansi = {.dialect = SQL_MYSQL, .ansi_quotes = true};
    static const Case cases[] = {
        {&mysql, "'a\\'b' \"c\\\"d\" `e\\` f", "s'a\\'b' s\"c\\\"d\" n`e\\` wf"},
        {&mysql, "`a``b`", "n`a``b`"},
        {&plain, "'a\\' b", "s'a\\' wb"},
        {&ansi, "\"a\\\" b 'c\\'d'", "n\"a\\\" wb s'c\\'d'"},
        {&mysql, "5--1", "w5 .- .- w1"},
        {&mysql, "5 -- 1\n6 --\n7 --\x01 8\n9 --", "w5 w6 w7 w9"},
        {&mysql, "1 # ' \n2", "w1 w2"},
        {&mysql, "/* a /* b */ c", "wc"},
        {&mysql, "/* a", "?/* a"},
        {&mysql, "/*!40101 SET a */;", "g/*!40101 wSET wa g*/ .;"},
        {&mysql, "/*!50003 '*/' /* c */ b */ d", "g/*!50003 s'*/' wb g*/ wd"},
        {&mysql, "/*M!100100 a*/", "g/*M!100100 wa g*/"},
        {&mysql, "/*M!999999\\- x */ a", "wa"},
        {&mysql, "/*+ MAX_EXECUTION_TIME(1) */ a", "wa"},
        {&mysql, "a /*! b", "wa g/*! wb ?/*! b"},
        {&mysql, "a */ b", "wa .* ./ wb"},
        {&mysql, "@x := $y", ".@ wx .: .= w$y"},
        {&mysql, "'a\\", "?'a\\"},
    };
    check(cases, COUNT_OF(cases));
}

static void
test_sqlite(void **state)
{
    (void)state;
    static const Case cases[] = {
        {&sqlite, "'a\\' b", "s'a\\' wb"},
        {&sqlite, "[a;b] `c;` \"d\"", "n[a;b] n`c;` n\"d\""},
        {&sqlite, "[a", "?[a"},
        {&sqlite, "a /* b", "wa"},
        {&sqlite, "/* a /* b */ c", "wc"},
        {&sqlite, "-- a\rb\nc", "wc"},
        {&sqlite, "x'00' ?1 :a $b", "wx s'00' .? w1 .: wa w$b"},
        {&sqlite, "a\vb", "wa .\v wb"},
    };
    check(cases, COUNT_OF(cases));
}

static void
test_delimiter(void **state)
{
    (void)state;
    static const struct {
        const char *line, *delimiter, *text, *want;
    } cases[] = {
        {" $$\n", "$$", "END$$a$b$$", "wEND d$$ wa$b d$$"},
        {" // tail\n", "//", "a / b // c ; '//'", "wa ./ wb d// wc .; s'//'"},
        {" ;;", ";;", "a;b;;", "wa .; wb d;;"},
        {"\t'@@'\r\n", "@@", "a@@", "wa d@@"},
        {" GO\n", "GO", "CARGO go GOOD GO", "wCARGO wgo wGOOD dGO"},
        {" |\n", "|", "a /* | */ # |\n b|", "wa wb d|"},
    };
    SCRATCH_ARENA(arena);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Lexer lex = lexer_new(str_of(cases[i].line), &mysql);
        assert_true(lex_delimiter_line(&lex));
        assert_true(str_eq(lex.delimiter, str_of(cases[i].delimiter)));
        StrBuf out = strbuf_new(arena, 4096);
        lex.text = str_of(cases[i].text);
        lex.at = 0;
        for (Token t = lex_next(&lex); t.kind != TOKEN_END; t = lex_next(&lex)) {
            static const char letters[] = " wns.gd?";
            strbuf_printf(&out, "%s%c" STR_FMT, out.n ? " " : "", letters[t.kind],
                          STR_ARG(lex_text(&lex, &t)));
        }
        assert_string_equal(out.p, cases[i].want);
    }
    Lexer none = lexer_new(STR("  \r\nx"), &mysql), back = lexer_new(STR(" ;\n"), &mysql);
    assert_false(lex_delimiter_line(&none));
    back.delimiter = STR("//");
    assert_true(lex_delimiter_line(&back));
    assert_null(back.delimiter.p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_common),    cmocka_unit_test(test_postgres),
        cmocka_unit_test(test_mysql),     cmocka_unit_test(test_sqlite),
        cmocka_unit_test(test_delimiter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
