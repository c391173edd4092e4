/* SPDX-License-Identifier: Apache-2.0 */
/* Database URLs as people and platforms write them; what is refused never shows a password. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "db/url.h"

#include "core/banned.h"

/* What the password is made of in every URL below. */
#define SECRET "hunter2"

static int
setup(void **state)
{
    *state = arena_new();
    return 0;
}

static int
teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static DbUrl
parse(Arena *arena, const char *text)
{
    DbUrl url = {0};
    Error err = ERROR_INIT;
    if (!dburl_parse(arena, str_of(text), &url, &err))
        fail_msg("%s: %s", text, err.message);
    assert_null(strstr(url.display, SECRET));
    return url;
}

/* Refused as usage, without an echo of any secret; *the hint or message holds `says`. */
static void
refuse_str(Arena *arena, Str text, const char *says)
{
    DbUrl url = {.port = 77};
    Error err = ERROR_INIT;
    (void)arena;
    if (dburl_parse(arena, text, &url, &err))
        fail_msg("accepted: " STR_FMT, STR_ARG(text));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_int_equal(url.port, 77);
    assert_null(strstr(err.message, SECRET));
    assert_null(strstr(err.hint, SECRET));
    if (!strstr(err.message, says) && !strstr(err.hint, says))
        fail_msg(STR_FMT ": %s (%s)", STR_ARG(text), err.message, err.hint);
}

static void
refuse(Arena *arena, const char *text, const char *says)
{
    refuse_str(arena, str_of(text), says);
}

static void
same(const char *got, const char *want)
{
    if (!want)
        assert_null(got);
    else if (!got || strcmp(got, want) != 0)
        fail_msg("'%s' is not '%s'", got ? got : "(null)", want);
}

static void
test_servers(void **state)
{
    static const struct {
        const char *text;
        DbEngine engine;
        const char *user, *password, *host;
        int port;
        const char *database, *display;
    } rows[] = {
        {"postgresql://app@db/app", DB_POSTGRES, "app", NULL, "db", 0, "app",
         "postgresql://app@db/app"},
        {"postgres://app:hunter2@db.example:5433/app", DB_POSTGRES, "app", "hunter2", "db.example",
         5433, "app", "postgresql://app@db.example:5433/app"},
        {"POSTGRES://h/d", DB_POSTGRES, NULL, NULL, "h", 0, "d", "postgresql://h/d"},
        {"postgis://h/d", DB_POSTGRES, NULL, NULL, "h", 0, "d", "postgresql://h/d"},
        {"pgsql://h/d", DB_POSTGRES, NULL, NULL, "h", 0, "d", "postgresql://h/d"},
        {"cockroachdb://root@h:26257/d", DB_POSTGRES, "root", NULL, "h", 26257, "d",
         "postgresql://root@h:26257/d"},
        {"postgresql+psycopg2://u@h/d", DB_POSTGRES, "u", NULL, "h", 0, "d", "postgresql://u@h/d"},
        {"jdbc:postgresql://h:1/d?user=u&password=hunter2", DB_POSTGRES, "u", "hunter2", "h", 1,
         "d", "postgresql://u@h:1/d"},
        {"jdbc:postgresql://h:5432/d?user=me@cloud&password=hunter2", DB_POSTGRES, "me@cloud",
         "hunter2", "h", 5432, "d", "postgresql://me@cloud@h:5432/d"},
        {"postgresql:///d", DB_POSTGRES, NULL, NULL, NULL, 0, "d", "postgresql://localhost/d"},
        {"postgresql://", DB_POSTGRES, NULL, NULL, NULL, 0, NULL, "postgresql://localhost/"},
        {"postgresql://h", DB_POSTGRES, NULL, NULL, "h", 0, NULL, "postgresql://h/"},
        {"postgresql://h?user=u", DB_POSTGRES, "u", NULL, "h", 0, NULL, "postgresql://u@h/"},
        {"postgresql://u@[::1]:5432/d", DB_POSTGRES, "u", NULL, "::1", 5432, "d",
         "postgresql://u@[::1]:5432/d"},
        {"postgresql://[fe80::1%25eth0]/d", DB_POSTGRES, NULL, NULL, "fe80::1%eth0", 0, "d",
         "postgresql://[fe80::1%25eth0]/d"},
        {"postgresql:///d?host=/run/postgresql", DB_POSTGRES, NULL, NULL, "/run/postgresql", 0, "d",
         "postgresql:///d?host=/run/postgresql"},
        {"postgresql://u@%2Frun%2Fpg/d", DB_POSTGRES, "u", NULL, "/run/pg", 0, "d",
         "postgresql://u@/d?host=/run/pg"},
        {"postgres://u:p%40%2F%3A%23hunter2%25@h/d%20e", DB_POSTGRES, "u", "p@/:#hunter2%", "h", 0,
         "d e", "postgresql://u@h/d e"},
        {"postgres://u:a@hunter2@h/d", DB_POSTGRES, "u", "a@hunter2", "h", 0, "d",
         "postgresql://u@h/d"},
        {"postgres://u:a:hunter2@h/d", DB_POSTGRES, "u", "a:hunter2", "h", 0, "d",
         "postgresql://u@h/d"},
        {"postgres://u:hunter2+x@h/d", DB_POSTGRES, "u", "hunter2+x", "h", 0, "d",
         "postgresql://u@h/d"},
        {"postgres://u:@h/d", DB_POSTGRES, "u", NULL, "h", 0, "d", "postgresql://u@h/d"},
        {"postgres://:hunter2@h/d", DB_POSTGRES, NULL, "hunter2", "h", 0, "d", "postgresql://h/d"},
        {"postgres://a,b/d", DB_POSTGRES, NULL, NULL, "a,b", 0, "d", "postgresql://a,b/d"},
        {"mysql://root:hunter2@127.0.0.1:3306/shop", DB_MYSQL, "root", "hunter2", "127.0.0.1", 3306,
         "shop", "mysql://root@127.0.0.1:3306/shop"},
        {"mysql2://h/d", DB_MYSQL, NULL, NULL, "h", 0, "d", "mysql://h/d"},
        {"mariadb+mariadbconnector://u@h/d", DB_MYSQL, "u", NULL, "h", 0, "d", "mysql://u@h/d"},
        {"mysql://u:hunter2@tcp(10.0.0.1:3307)/d?parseTime=true", DB_MYSQL, "u", "hunter2",
         "10.0.0.1", 3307, "d", "mysql://u@10.0.0.1:3307/d"},
        {"mysql://tcp([::1]:3307)/d", DB_MYSQL, NULL, NULL, "::1", 3307, "d",
         "mysql://[::1]:3307/d"},
        {"mysql://u:hunter2@unix(/run/m.sock)/d", DB_MYSQL, "u", "hunter2", "/run/m.sock", 0, "d",
         "mysql://u@/d?host=/run/m.sock"},
        {"mysql://u:tcp(hunter2@h/d", DB_MYSQL, "u", "tcp(hunter2", "h", 0, "d", "mysql://u@h/d"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        DbUrl url = parse(*state, rows[i].text);
        assert_int_equal(url.engine, rows[i].engine);
        same(url.user, rows[i].user);
        same(secret_is_set(url.password) ? secret_reveal(url.password) : NULL, rows[i].password);
        same(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        same(url.database, rows[i].database);
        same(url.display, rows[i].display);
    }
}

static void
test_several_hosts(void **state)
{
    DbUrl url = parse(*state, "postgresql://u:hunter2@a:1,[::2],c:3/d");
    same(url.host, "a,::2,c");
    same(dburl_param(&url, "port"), "1,5432,3");
    same(url.display, "postgresql://u@a,[::2],c/d");
    url = parse(*state, "postgresql://a,b/d?port=1,2&target_session_attrs=read-write");
    same(dburl_param(&url, "port"), "1,2");
    url = parse(*state, "postgres://a:7,b:7");
    same(dburl_param(&url, "port"), "7,7");
    same(url.display, "postgresql://a,b/");
    url = parse(*state, "postgres://a,b/d?port=7");
    same(dburl_param(&url, "port"), "7");
    assert_int_equal(url.port, 0);
    refuse(*state, "mysql://a,b/d", "several hosts");
    refuse(*state, "mysql://a:1,b/d?host=/s", "several hosts");
    refuse(*state, "postgresql://a:1,b:x/d", "port");
}

static void
test_paths(void **state)
{
    static const struct {
        const char *text, *path;
    } rows[] = {
        {"sqlite:rel.db", "rel.db"},
        {"sqlite:./rel.db", "./rel.db"},
        {"sqlite:/abs.db", "/abs.db"},
        {"sqlite://rel.db", "rel.db"},
        {"sqlite:///rel.db", "rel.db"},
        {"sqlite:///sub/rel.db", "sub/rel.db"},
        {"sqlite:////abs/x.db", "/abs/x.db"},
        {"sqlite3:///x.db", "x.db"},
        {"jdbc:sqlite:x.db", "x.db"},
        {"sqlite+aiosqlite:///x.db", "x.db"},
        {"sqlite::memory:", ":memory:"},
        {"sqlite:///:memory:", ":memory:"},
        {"sqlite://", ":memory:"},
        {"sqlite:a%20b%3F%23.db", "a b?#.db"},
        {"sqlite:a b#c.db", "a b#c.db"},
        {"file:x.db", "x.db"},
        {"file:./x.db", "./x.db"},
        {"file:///abs.db", "/abs.db"},
        {"file:////abs.db", "/abs.db"},
        {"file://localhost/abs.db", "/abs.db"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        DbUrl url = parse(*state, rows[i].text);
        assert_int_equal(url.engine, DB_SQLITE);
        same(url.database, rows[i].path);
        same(url.display, str_printf(*state, "sqlite:%s", rows[i].path));
        assert_null(url.host);
    }
    DbUrl url = parse(*state, "sqlite:x.db?mode=ro&_fk=1");
    same(dburl_param(&url, "mode"), "ro");
    same(dburl_param(&url, "_fk"), "1");
    assert_null(dburl_param(&url, "cache"));
}

static void
test_options(void **state)
{
    DbUrl url =
        parse(*state, "postgres://h/d?sslmode=require&sslmode=verify-full&options=-c%20a%3Db"
                      "&connection_limit=5&&schema=x");
    same(dburl_param(&url, "sslmode"), "verify-full"); /* the last, as libpq has it */
    same(dburl_param(&url, "options"), "-c a=b");
    same(dburl_param(&url, "schema"), "x");
    same(dburl_param(&url, "connection_limit"), "5");
    assert_true(dburl_param_is_idle("connection_limit"));
    assert_false(dburl_param_is_idle("sslmode"));
    assert_false(dburl_param_is_idle("x"));
    url = parse(*state, "postgres://a/d?host=b&port=7&user=u&password=hunter2&dbname=e");
    same(url.host, "b");
    same(url.database, "e");
    assert_int_equal(url.port, 7);
    url = parse(*state, "mysql://h/d?ssl-mode=REQUIRED&serverVersion=8&charset=utf8mb4");
    same(dburl_param(&url, "ssl-mode"), "REQUIRED");

    refuse(*state, "postgres://h/d?sslmod=require", "sslmode");
    refuse(*state, "postgres://h/d?serch_path=x", "search_path");
    refuse(*state, "postgres://h/d?statement_timeout=5", "statement_timeout");
    refuse(*state, "mysql://h/d?x-migrations-table=y", "x-migrations-table");
    refuse(*state, "mysql://h/d?search_path=y", "search_path");
    refuse(*state, "sqlite:x.db?sslmode=require", "sslmode");
    refuse(*state, "sqlite:x.db?user=u", "user");
    refuse(*state, "postgres://h/d?port=x", "port");
    refuse(*state, "mysql://h/d?port=1,2", "port");
    refuse(*state, "postgres://h/d?a%0Ab=c", "stray");
    refuse(*state, "postgres://h/d?=c", "unknown option");
}

static void
test_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " \n",
        "hunter2",
        "user:hunter2@host/db",
        "hunter2:user@host/db",
        "host=db password=hunter2",
        "://u:hunter2@h/d",
        "postgres:u:hunter2@h/d",
        "postgres:/u:hunter2@h/d",
        "postgres://u:hunter2/x@h/d", /* what a password may not hold raw */
        "postgres://u:x/hunter2@h/d",
        "postgres://u:x#hunter2@h/d",
        "postgres://u:x?hunter2@h/d",
        "postgres://u:x?hunter2=@h/d",
        "postgres://u:1?hunter2=@h/d",
        "postgres://u:1?hunter2=@h",
        "postgres://u:x hunter2@h/d",
        "postgres://u:x\"hunter2@h/d",
        "postgres://u:hunter2%@h/d",
        "postgres://u:hunter2%zz@h/d",
        "postgres://u:hunter2%4@h/d",
        "postgres://u:hunter2%00@h/d",
        "postgres://u:hunter2@h:port/d",
        "postgres://u:hunter2@h:0/d",
        "postgres://u:hunter2@h:65536/d",
        "postgres://u:hunter2@h:99999999999999999999/d",
        "postgres://u:hunter2@h:-1/d",
        "postgres://u:hunter2@h:+5/d",
        "postgres://u:hunter2@[::1/d",
        "postgres://u:hunter2@[::1]x/d",
        "postgres://u:hunter2@h/d/e",
        "postgres://u:hunter2@a%2Cb/d",
        "mysql://u:hunter2@h/d?host=a,b",
        "postgres://u:hunter2@h/d\r",
        "mysql://u:hunter2@tcp(h:1/d",
        "mysql://u:hunter2@tcp(h:1)d",
        "mysql://u:hunter2@tcp(h:x)/d",
        "mysql://u:hunter2@unix(x)/d",
        "mysql://u:hunter2@unix()/d",
        "sqlite:%00",
        "sqlite:x%",
        "jdbc:",
        "jdbc:jdbc:postgresql://h/d",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (strcmp(texts[i], "postgres://u:hunter2@h/d\r") == 0)
            continue; /* white space at the ends is forgiven */
        refuse(*state, texts[i], "");
    }
    refuse(*state, "postgrse://u:hunter2@h/d", "'postgres'");
    refuse(*state, "mongodb://u:hunter2@h/d", "mongodb");
    refuse_str(*state, (Str){"postgres://h/a\0b", 16}, "NUL");
    char *longest = str_printf(*state, "postgres://h/%09000d", 1);
    refuse(*state, longest, "8 KiB");
    DbUrl url = parse(*state, " postgres://u@h/d\r\n");
    same(url.database, "d");
}

/* As long as it may be, of what grows most when it is written again. */
static void
test_ceilings(void **state)
{
    static const char *const heads[] = {
        "postgres://", "postgres://u:", "postgres://h/", "postgres:///d?options=",
        "sqlite:",     "mysql://"};
    static const char fills[] = {',', ':', '%', '@', '&', '=', 'x', '~', '\x01', '[', '/', '\xff'};
    Arena *arena = *state;
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        for (size_t k = 0; k < COUNT_OF(fills); k++) {
            char *text = arena_array(arena, char, 8193);
            size_t n = strlen(heads[i]);
            memcpy(text, heads[i], n);
            memset(text + n, fills[k], 8192 - n);
            DbUrl url, again;
            Error err = ERROR_INIT;
            if (!dburl_parse(arena, str_of(text), &url, &err))
                continue;
            assert_non_null(dburl_reveal(arena, &url));
            (void)again;
        }
    }
    char *part = arena_array(arena, char, 8193);
    memset(part, '\xff', 8192);
    Str full = str_of(part);
    DbUrl url;
    Error err = ERROR_INIT;
    DbParts parts = {DB_POSTGRES, full, STR_ABSENT, full, full, full, STR_ABSENT};
    assert_true(dburl_from_parts(arena, &parts, &url, &err));
    assert_non_null(dburl_reveal(arena, &url));
    parts.host = str_of(str_printf(arena, "%s+", part));
    assert_false(dburl_from_parts(arena, &parts, &url, &err));
}

static void
test_reveal(void **state)
{
    static const char *const texts[] = {
        "postgres://u%40x:p%40%2F%3A%23hunter2%25@h:5433/d%2Fe?sslmode=require&options=-c%20a%3Db",
        "postgres://u:hunter2@[fe80::1%25eth0]:1/d",
        "postgres://u:hunter2@a:1,[::2],c/d?port=1,2,3",
        "postgres://:hunter2@/d?host=/run/with%20blank",
        "postgres:///?user=u",
        "postgres://a%3Fb/d",
        "mysql://u:hunter2@unix(/run/m.sock)/d?ssl-mode=REQUIRED",
        "mysql://u:hunter2@tcp(h:3)/d",
        "sqlite:a%3F%20b.db?mode=ro",
        "sqlite:////abs/%25.db",
        "sqlite::memory:",
        "file:///abs.db",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        DbUrl url = parse(*state, texts[i]);
        DbUrl again = parse(*state, dburl_reveal(*state, &url));
        assert_int_equal(again.engine, url.engine);
        same(again.user, url.user);
        same(again.host, url.host);
        same(again.database, url.database);
        same(again.display, url.display);
        assert_int_equal(again.port, url.port);
        assert_int_equal(again.params.n, url.params.n);
        for (size_t k = 0; k < url.params.n; k++)
            same(again.params.p[k].value, url.params.p[k].value);
        same(secret_reveal(again.password), secret_reveal(url.password));
    }
}

static void
test_secrets_are_masked(void **state)
{
    parse(*state, "postgres://u:s%C3%A9same-x@h/d?sslpassword=key-phrase-9");
    static const char *const shown[] = {"the word s\xc3\xa9same-x", "raw s%C3%A9same-x",
                                        "key-phrase-9"};
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        const char *text = str_dup(*state, secret_redact(*state, str_of(shown[i])));
        assert_non_null(strstr(text, "***"));
        assert_null(strstr(text, "same-x"));
        assert_null(strstr(text, "phrase"));
    }
}

static void
test_parts(void **state)
{
    static const struct {
        const char *host, *port, *want_host;
        int want_port;
    } rows[] = {
        {"db", "5433", "db", 5433},  {"db", "", "db", 0},       {"db", NULL, "db", 0},
        {"db:5434", "", "db", 5434}, {"db:5434", "9", "db", 9}, {"::1", "", "::1", 0},
        {"[::1]", "", "::1", 0},     {"[::1]:7", "", "::1", 7}, {"/run/pg", "5", "/run/pg", 5},
        {"", "", NULL, 0},           {NULL, NULL, NULL, 0},     {"a,b", "", "a,b", 0},
    };
    Arena *arena = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        DbUrl url;
        Error err = ERROR_INIT;
        DbParts parts = {.engine = DB_POSTGRES,
                         .host = str_of(rows[i].host),
                         .port = str_of(rows[i].port),
                         .database = STR("a%20b"),
                         .user = STR(""),
                         .password = STR("%" SECRET)};
        if (!dburl_from_parts(arena, &parts, &url, &err))
            fail_msg("%s: %s", rows[i].host, err.message);
        same(url.host, rows[i].want_host);
        assert_int_equal(url.port, rows[i].want_port);
        same(url.database, "a%20b"); /* parts are not encoded */
        same(secret_reveal(url.password), "%" SECRET);
        assert_null(url.user);
        assert_null(strstr(url.display, SECRET));
    }
    DbUrl url;
    Error err = ERROR_INIT;
    DbParts parts = {.engine = DB_POSTGRES, .host = STR("h"), .params = STR("sslmode=require")};
    assert_true(dburl_from_parts(arena, &parts, &url, &err));
    same(dburl_param(&url, "sslmode"), "require");
    parts.port = STR("x" SECRET);
    assert_false(dburl_from_parts(arena, &parts, &url, &err));
    assert_null(strstr(err.message, SECRET));
    error_clear(&err);
    parts = (DbParts){.engine = DB_SQLITE};
    assert_false(dburl_from_parts(arena, &parts, &url, &err));
    error_clear(&err);
    parts.database = STR("x.db");
    assert_true(dburl_from_parts(arena, &parts, &url, &err));
    same(url.display, "sqlite:x.db");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_servers), TEST(test_several_hosts),
        TEST(test_paths),   TEST(test_options),
        TEST(test_refused), TEST(test_ceilings),
        TEST(test_reveal),  TEST(test_secrets_are_masked),
        TEST(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
