/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications against a receiver of our own: order, a silent receiver, none at all. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "run/notify.h"

static Arena *arena;
static Error err;
static int warnings;

static void
count_warnings(void *ctx, const char *event, Str json)
{
    (void)ctx;
    assert_true(str_find_str(json, STR("secret-path")) == json.n);
    warnings += strcmp(event, "notify.failed") == 0;
}

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    warnings = 0;
    LogOptions log = {.level = LOG_ERROR, .tap = count_warnings};
    log_setup(&log);
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static int
open_listener(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* In a child: answers each request, one connection each, and passes what came to `out`. */
static pid_t
start_receiver(int listener, int out, const char *answer)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        char text[4096];
        size_t n = 0;
        while (n < sizeof text - 1) {
            ssize_t got = recv(fd, text + n, sizeof text - 1 - n, 0);
            if (got <= 0)
                break;
            n += (size_t)got;
            text[n] = '\0';
            if (strchr(text, '}'))
                break;
        }
        (void)!write(out, text, n);
        (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
        close(fd);
    }
}

static Notify *
open_one(const char *format, int port)
{
    char *urls[] = {NULL, NULL};
    char text[128];
    snprintf(text, sizeof text, format, port);
    urls[0] = text;
    Notify *n = NULL;
    assert_true(notify_open(arena, urls, &n, &err));
    return n;
}

static void
events_arrive_in_order(void **state)
{
    (void)state;
    int port, pair[2];
    int listener = open_listener(&port);
    assert_int_equal(pipe(pair), 0);
    pid_t pid =
        start_receiver(listener, pair[1], "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    Notify *n = open_one("http://127.0.0.1:%d/hook", port);
    for (int i = 0; i < 5; i++)
        notify_event(n, str_of(str_printf(arena, "{\"n\":%d}", i)));
    Wait wait = wait_init();
    notify_drain(n, &wait);
    notify_close(n);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    static char text[32768];
    ssize_t size = read(pair[0], text, sizeof text - 1);
    assert_true(size > 0);
    const char *at = text;
    for (int i = 0; i < 5; i++) {
        at = strstr(at, str_printf(arena, "{\"n\":%d}", i));
        assert_non_null(at);
    }
    assert_non_null(strstr(text, "POST /hook HTTP/1.1\r\n"));
    assert_non_null(strstr(text, "Content-Type: application/json\r\n"));
    assert_int_equal(warnings, 0);
    close(listener);
    close(pair[0]);
    close(pair[1]);
}

static void
refusals_are_warned_about_once(void **state)
{
    (void)state;
    int port, nowhere;
    int listener = open_listener(&port);
    close(open_listener(&nowhere));
    pid_t pid = start_receiver(listener, -1,
                               "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    int ports[] = {port, nowhere};
    for (size_t i = 0; i < COUNT_OF(ports); i++) {
        warnings = 0;
        Notify *n = open_one("http://user:pw@127.0.0.1:%d/secret-path/x?token=1", ports[i]);
        notify_event(n, STR("{}"));
        notify_event(n, STR("{}"));
        Wait wait = wait_init();
        notify_drain(n, &wait);
        notify_close(n);
        assert_int_equal(warnings, 1);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(listener);
}

static void
a_silent_receiver_costs_nothing_but_the_end(void **state)
{
    (void)state;
    int port;
    int listener = open_listener(&port); /* takes connections, never answers */
    Notify *n = open_one("http://127.0.0.1:%d/hook", port);
    int64_t began_ms = clock_ms();
    for (int i = 0; i < 100; i++) {
        notify_event(n, STR("{}"));
        notify_serve(n);
    }
    assert_true(clock_ms() - began_ms < 3000);
    Wait wait = wait_init();
    notify_drain(n, &wait);
    int64_t took_ms = clock_ms() - began_ms;
    assert_true(took_ms > 3000 && took_ms < 30000);
    assert_int_equal(warnings, 1);
    notify_close(n);
    close(listener);
}

static void
only_web_addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "x", "ftp://a/b", "file:///etc/passwd", "httpx://a"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char *urls[] = {str_dup(arena, str_of(bad[i])), NULL};
        Notify *n = NULL;
        err = ERROR_INIT;
        assert_false(notify_open(arena, urls, &n, &err));
        assert_int_equal(err.code, ERROR_USAGE);
        assert_null(n);
    }
}

static void
paths_are_secrets(void **state)
{
    (void)state;
    Notify *n = open_one("https://hooks.example:%d/T000/B000/very-secret", 443);
    Str shown = secret_redact(arena, STR("POST /T000/B000/very-secret failed"));
    assert_true(str_find_str(shown, STR("very-secret")) == shown.n);
    notify_close(n);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(events_arrive_in_order),
        TEST(refusals_are_warned_about_once),
        TEST(a_silent_receiver_costs_nothing_but_the_end),
        TEST(only_web_addresses),
        TEST(paths_are_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
