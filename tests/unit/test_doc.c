/* SPDX-License-Identifier: Apache-2.0 */
/* YAML, JSON and TOML as one tree; what is made to be too much is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "doc/doc.h"

static Arena *arena;
static Error err;
static Docs docs;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    docs = (Docs){0};
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
yaml(const char *text)
{
    return doc_read_yaml(arena, str_of(text), &docs, &err);
}

#define assert_text(node, path, expected)                                                          \
    do {                                                                                           \
        Str found = doc_text_at((node), (path));                                                   \
        assert_non_null(found.p);                                                                  \
        assert_true(str_eq(found, str_of(expected)));                                              \
    } while (0)

static void
yaml_has_lines(void **state)
{
    (void)state;
    assert_true(yaml("# first\n"
                     "kind: Job\n"
                     "spec:\n"
                     "  template:\n"
                     "    args: [a, 'b']\n"
                     "    none: ~\n"
                     "    word: 'null'\n"
                     "    on: yes\n"
                     "---\n"
                     "---\n"
                     "- 1\n"));
    assert_int_equal(docs.n, 2);
    assert_text(docs.p[0], "kind", "Job");
    const DocNode *args = doc_at(docs.p[0], "spec.template.args");
    assert_true(doc_is(args, DOC_LIST));
    assert_int_equal(args->line, 5);
    assert_true(str_eq(args->first->next->text, STR("b")));
    assert_null(doc_text_at(docs.p[0], "spec.template.none").p);
    assert_text(docs.p[0], "spec.template.word", "null");
    assert_true(doc_is_true(doc_at(docs.p[0], "spec.template.on")));
    assert_null(doc_at(docs.p[0], "spec.template.args.a"));
    assert_null(doc_get(NULL, "x"));
    assert_int_equal(docs.p[1]->first->line, 11);
}

static void
json_is_yaml(void **state)
{
    (void)state;
    assert_true(yaml("{\"scripts\": {\n \"dokku\": {\"predeploy\": \"a && \\\"b\\\"\"}}}"));
    assert_text(docs.p[0], "scripts.dokku.predeploy", "a && \"b\"");
    assert_int_equal(doc_at(docs.p[0], "scripts.dokku")->line, 2);
    assert_true(yaml(""));
    assert_int_equal(docs.n, 0);
}

static void
aliases_and_merges(void **state)
{
    (void)state;
    assert_true(yaml("base: &b {x: 1, y: 2}\n"
                     "one: {<<: *b, y: 3}\n"
                     "two: {<<: [{z: 4}, *b]}\n"
                     "list: [*b, *b]\n"));
    assert_text(docs.p[0], "one.x", "1");
    assert_text(docs.p[0], "one.y", "3");
    assert_text(docs.p[0], "two.z", "4");
    assert_text(docs.p[0], "two.y", "2");
    assert_false(yaml("a: &a [*a]"));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_int_equal(err.line, 1);
}

static void
bombs_are_refused(void **state)
{
    (void)state;
    StrBuf text = strbuf_new(arena, 1 << 20);
    strbuf_puts(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++) {
        strbuf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            strbuf_printf(&text, "*a%d%s", i - 1, k < 9 ? "," : "]\n");
    }
    assert_false(yaml(text.p));
    assert_non_null(strstr(err.message, "more than"));
    error_clear(&err);
    text = strbuf_new(arena, 1 << 20);
    for (int i = 0; i < 100000; i++)
        strbuf_addc(&text, '[');
    assert_false(yaml(text.p));
    assert_non_null(strstr(err.message, "deep"));
    error_clear(&err);
    DocNode *root;
    assert_false(
        doc_read_toml(arena, str_of(str_printf(arena, "x = %.*s", 5000, text.p)), &root, &err));
    assert_non_null(strstr(err.message, "deep"));
}

static void
broken_text_has_a_place(void **state)
{
    (void)state;
    assert_false(yaml("a: 1\nb: [\n"));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_true(err.line >= 2);
    error_clear(&err);
    assert_false(yaml("? [a]\n: b\n"));
    error_clear(&err);
    assert_false(yaml("a: \xff\n"));
}

static void
toml_as_far_as_needed(void **state)
{
    (void)state;
    DocNode *root = NULL;
    assert_true(doc_read_toml(arena,
                              STR("app = \"x\" # its name\n"
                                  "list = [ 'a', # one\n  \"b\\\"\",\n]\r\n"
                                  "\n"
                                  "[deploy]\n"
                                  "  release_command = 'lockstep migrate'\n"
                                  "  limits = { a = 1, b = [2] }\n"
                                  "[env]\n"
                                  "DATABASE_URL = \"sqlite:////data/x.db\"\n"
                                  "[[mounts]]\n"
                                  "destination = \"/data\"\n"
                                  "[[mounts]]\n"
                                  "destination = \"/more\"\n"
                                  "[mounts.deep]\n"
                                  "yes = true\n"
                                  "[a.\"b.c\"]\n"
                                  "d.e = \"\"\"x\ny\"\"\"\n"
                                  "last = 1"),
                              &root, &err));
    assert_text(root, "app", "x");
    assert_true(str_eq(doc_get(root, "list")->first->next->text, STR("b\"")));
    assert_text(root, "deploy.release_command", "lockstep migrate");
    assert_int_equal(doc_at(root, "deploy.release_command")->line, 7);
    assert_text(root, "deploy.limits", "{ a = 1, b = [2] }");
    assert_text(root, "env.DATABASE_URL", "sqlite:////data/x.db");
    const DocNode *mounts = doc_get(root, "mounts");
    assert_text(mounts->first, "destination", "/data");
    assert_text(mounts->first->next, "destination", "/more");
    assert_true(doc_is_true(doc_at(mounts->first->next, "deep.yes")));
    assert_text(doc_get(doc_get(doc_get(root, "a"), "b.c"), "d"), "e", "x\ny");
    assert_int_equal(doc_get(doc_at(root, "a"), "b.c")->first->next->line, 20);
    static const char *const wrong[] = {"a",    "a =", "a = \"x", "[a",
                                        "[[a]", "= 1", "a = [1",  "a = 'x' y"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        error_clear(&err);
        assert_false(doc_read_toml(arena, str_of(wrong[i]), &root, &err));
        assert_int_equal(err.line, 1);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(yaml_has_lines),          TEST(json_is_yaml),
        TEST(aliases_and_merges),      TEST(bombs_are_refused),
        TEST(broken_text_has_a_place), TEST(toml_as_far_as_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
