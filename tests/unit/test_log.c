/* SPDX-License-Identifier: Apache-2.0 */
/* The lines on stderr, byte for byte, in both forms. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/log.h"
#include "core/secret.h"

static Arena *arena;
static int kept_stderr = -1, sink = -1;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    kept_stderr = dup(STDERR_FILENO);
    sink = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(sink >= 0 && dup2(sink, STDERR_FILENO) == STDERR_FILENO);
    LogOptions options = {.level = LOG_INFO};
    log_setup(&options);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    close(sink);
    arena_free(arena);
    return 0;
}

/* What was written since the last call. */
static char *
written(void)
{
    off_t n = lseek(sink, 0, SEEK_END);
    char *text = arena_alloc(arena, (size_t)n + 1);
    assert_int_equal(pread(sink, text, (size_t)n, 0), n);
    assert_int_equal(ftruncate(sink, 0), 0);
    lseek(sink, 0, SEEK_SET);
    return text;
}

static void
use(LogLevel level, LogFormat format, bool color)
{
    LogOptions options = {.level = level, .format = format, .color = color};
    log_setup(&options);
}

static void
test_text_levels(void **state)
{
    (void)state;
    log_info("migration.applied", "Migration applied: %s in %d ms", "001_a.sql", 12);
    assert_string_equal(written(), "lockstep: Migration applied: 001_a.sql in 12 ms\n");
    log_warn("x", "watch out");
    assert_string_equal(written(), "lockstep: warning: watch out\n");
    log_event(LOG_ERROR, "x", NULL, "no");
    assert_string_equal(written(), "lockstep: error: no\n");
    log_debug("x", "hidden");
    assert_string_equal(written(), "");
    use(LOG_DEBUG, LOG_TEXT, false);
    assert_int_equal(log_level(), LOG_DEBUG);
    log_debug("x", "shown");
    assert_string_equal(written(), "lockstep: debug: shown\n");
    use(LOG_ERROR, LOG_TEXT, false);
    log_warn("x", "hidden");
    assert_string_equal(written(), "");
}

static void
test_text_color(void **state)
{
    (void)state;
    use(LOG_INFO, LOG_TEXT, true);
    log_warn("x", "watch out");
    assert_string_equal(written(), "lockstep: \033[33mwarning:\033[0m watch out\n");
    log_info("x", "plain");
    assert_string_equal(written(), "lockstep: plain\n");
}

static void
test_text_is_masked(void **state)
{
    (void)state;
    log_info("x", "a\033[31mb\x7f\tc\rd");
    assert_string_equal(written(), "lockstep: a\\x1b[31mb\\x7f\tc\\x0dd\n");
    log_info("x", "one\r\ntwo\n\n");
    assert_string_equal(written(), "lockstep: one\n  two\n");
    log_info("x", "caf\xc3\xa9 \xe2\x82\xac");
    assert_string_equal(written(), "lockstep: caf\xc3\xa9 \xe2\x82\xac\n");
    log_info("x", "csi \xc2\x9b"
                  "31m");
    assert_string_equal(written(), "lockstep: csi \\x9b31m\n");
    log_info("x", "latin caf\xe9");
    assert_string_equal(written(), "lockstep: latin caf\\xe9\n");
    secret_mask_also(STR("s3cr3t-value"));
    log_info("x", "url u:s3cr3t-value@h");
    assert_string_equal(written(), "lockstep: url u:***@h\n");
}

static Error
failure(void)
{
    Error err = ERROR_INIT;
    error_set(&err, ERROR_FAILED, "no such table");
    return err;
}

static void
test_text_failure(void **state)
{
    (void)state;
    Error err = failure();
    log_failure(LOG_ERROR, "error", "", NULL, &err);
    assert_string_equal(written(), "lockstep: error: no such table\n");

    error_at(&err, "db/001.sql", 3, 7);
    error_detail(&err, "first");
    error_detail(&err, "second");
    error_hint(&err, "Create it.");
    log_failure(LOG_ERROR, "migration.failed", "Migration failed", NULL, &err);
    assert_string_equal(written(), "lockstep: Migration failed: db/001.sql:3:7: no such table\n"
                                   "  detail: first\n"
                                   "          second\n"
                                   "  hint: Create it.\n");

    error_at(&err, "db/001.sql", 3, 0);
    log_failure(LOG_WARN, "x", "", NULL, &err);
    assert_non_null(strstr(written(), "lockstep: warning: db/001.sql:3: no such table\n"));
    error_at(&err, "db/001.sql", 0, 0);
    log_failure(LOG_ERROR, "x", "", NULL, &err);
    assert_non_null(strstr(written(), "lockstep: error: db/001.sql: no such table\n"));
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "(none)";
}

static json_t *
written_json(void)
{
    char *line = written();
    size_t n = strlen(line);
    assert_true(n > 0 && line[n - 1] == '\n' && strchr(line, '\n') == line + n - 1);
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static void
test_json_event(void **state)
{
    (void)state;
    use(LOG_INFO, LOG_JSON, true);
    LogField fields[] = {LOG_STR("version", STR("001")), LOG_INT("duration_ms", 12), {0}};
    log_event(LOG_INFO, "migration.applied", fields, "Migration applied: %s\nagain\033", "001");
    json_t *event = written_json();
    static const char *const keys[] = {"time",    "level",   "event",
                                       "message", "version", "duration_ms"};
    size_t i = 0;
    const char *key;
    json_t *value;
    json_object_foreach(event, key, value)
    {
        assert_string_equal(key, keys[i]);
        i++;
    }
    assert_int_equal(i, COUNT_OF(keys));
    assert_int_equal(strlen(text_of(event, "time")), 24);
    assert_string_equal(text_of(event, "level"), "info");
    assert_string_equal(text_of(event, "event"), "migration.applied");
    assert_string_equal(text_of(event, "message"), "Migration applied: 001\nagain\033");
    assert_string_equal(text_of(event, "version"), "001");
    assert_int_equal(json_integer_value(json_object_get(event, "duration_ms")), 12);
    json_decref(event);
}

static void
test_json_failure(void **state)
{
    (void)state;
    use(LOG_INFO, LOG_JSON, false);
    Error err = failure();
    error_at(&err, "a.sql", 3, 7);
    error_detail(&err, "why");
    error_hint(&err, "Do.");
    memcpy(err.sqlstate, "42P01", 6);
    log_failure(LOG_ERROR, "migration.failed", "Migration failed", NULL, &err);
    json_t *event = written_json();
    assert_memory_equal(text_of(event, "message"), "Migration failed: a.sql:3:7: no such table",
                        42);
    assert_string_equal(text_of(event, "level"), "error");
    assert_string_equal(text_of(event, "code"), "failed");
    assert_string_equal(text_of(event, "sqlstate"), "42P01");
    assert_string_equal(text_of(event, "detail"), "why");
    assert_string_equal(text_of(event, "hint"), "Do.");
    assert_string_equal(text_of(event, "file"), "a.sql");
    assert_int_equal(json_integer_value(json_object_get(event, "line")), 3);
    assert_int_equal(json_integer_value(json_object_get(event, "column")), 7);
    json_decref(event);

    Error bare = failure();
    log_failure(LOG_ERROR, "error", "", NULL, &bare);
    event = written_json();
    assert_null(json_object_get(event, "hint"));
    assert_null(json_object_get(event, "line"));
    json_decref(event);
}

static void
test_json_hides_secrets_and_bad_bytes(void **state)
{
    (void)state;
    use(LOG_INFO, LOG_JSON, false);
    secret_mask_also(STR("quote\"d secret"));
    LogField fields[] = {LOG_STR("url", STR("u:quote\"d secret@h")), {0}};
    log_event(LOG_INFO, "x", fields, "quote\"d secret caf\xe9");
    json_t *event = written_json();
    assert_string_equal(text_of(event, "message"), "*** caf?");
    assert_string_equal(text_of(event, "url"), "u:***@h");
    json_decref(event);
}

/* A server may send a notice of any size. */
static void
test_long_text_is_cut(void **state)
{
    (void)state;
    size_t n = 3 * 1024 * 1024;
    static const char *const fills[] = {"\n", "\033", "\xe2\x82\xac", "\xff"};
    for (size_t k = 0; k < COUNT_OF(fills); k++) {
        StrBuf b = strbuf_new(arena, n + 8);
        while (b.n < n)
            strbuf_puts(&b, fills[k]);
        LogField fields[] = {LOG_STR("a", strbuf_str(&b)), LOG_STR("b", strbuf_str(&b)), {0}};
        strbuf_puts(&b, "end");
        use(LOG_INFO, LOG_TEXT, false);
        log_event(LOG_INFO, "x", fields, "start%s", b.p);
        size_t length = strlen(written());
        assert_in_range(length, 60000, 1024 * 1024);
        use(LOG_INFO, LOG_JSON, false);
        log_event(LOG_INFO, "x", fields, "start%s", b.p);
        json_t *event = written_json();
        const char *message = text_of(event, "message");
        assert_memory_equal(message, "start", 5);
        assert_in_range(strlen(message), 65000, 65600);
        json_decref(event);
    }
}

typedef struct Tapped {
    int count;
    char event[64], json[4096];
} Tapped;

static void
tap(void *ctx, const char *event, Str json)
{
    Tapped *t = ctx;
    t->count++;
    snprintf(t->event, sizeof t->event, "%s", event);
    snprintf(t->json, sizeof t->json, STR_FMT, STR_ARG(json));
}

static void
test_tap_sees_what_the_level_hides(void **state)
{
    (void)state;
    Tapped tapped = {0};
    LogOptions options = {.level = LOG_ERROR, .tap = tap, .tap_ctx = &tapped};
    log_setup(&options);
    secret_mask_also(STR("tap-secret"));
    log_info("migration.started", "Migration started tap-secret");
    assert_string_equal(written(), "");
    assert_int_equal(tapped.count, 1);
    assert_string_equal(tapped.event, "migration.started");
    json_t *object = json_loads(tapped.json, 0, NULL);
    assert_string_equal(text_of(object, "message"), "Migration started ***");
    json_decref(object);
}

/* One write a line: a datagram socket keeps writes apart. */
static void
test_one_write_a_line(void **state)
{
    (void)state;
    int pair[2];
    char text[256];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    dup2(pair[0], STDERR_FILENO);
    Error err = failure();
    error_hint(&err, "Do.");
    log_failure(LOG_ERROR, "x", "", NULL, &err);
    ssize_t n = recv(pair[1], text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = 0;
    assert_string_equal(text, "lockstep: error: no such table\n  hint: Do.\n");
    assert_int_equal(recv(pair[1], text, sizeof text, MSG_DONTWAIT), -1);
    close(pair[0]);
    close(pair[1]);
}

static void
test_nobody_reads(void **state)
{
    (void)state;
    int null = open("/dev/full", O_WRONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    log_info("x", "goes on");
    close(null);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_text_levels),
        TEST(test_text_color),
        TEST(test_text_is_masked),
        TEST(test_text_failure),
        TEST(test_json_event),
        TEST(test_json_failure),
        TEST(test_json_hides_secrets_and_bad_bytes),
        TEST(test_long_text_is_cut),
        TEST(test_tap_sees_what_the_level_hides),
        TEST(test_one_write_a_line),
        TEST(test_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
