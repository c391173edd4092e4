/* SPDX-License-Identifier: Apache-2.0 */
/* The probe responder, over real sockets: answers, limits, and the port free afterwards. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/health.h"

static Arena *arena;
static Health *health;
static int port;
static Error err;

static struct sockaddr_in
local(int number)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)number),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
free_port(void)
{
    struct sockaddr_in address = local(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    port = free_port();
    assert_true(health_open(arena, str_printf(arena, "127.0.0.1:%d", port), &health, &err));
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    health_close(health);
    arena_free(arena);
    return 0;
}

static int
client(void)
{
    struct sockaddr_in address = local(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void
serve(void)
{
    struct pollfd p = {.fd = health_fd(health), .events = POLLIN};
    while (poll(&p, 1, 50) > 0)
        health_serve(health);
}

static const char *
ask(const char *request)
{
    static char answer[2048];
    int fd = client();
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    serve();
    ssize_t n = recv(fd, answer, sizeof answer - 1, MSG_DONTWAIT);
    answer[n > 0 ? n : 0] = '\0';
    close(fd);
    serve();
    return answer;
}

static void
alive_but_not_ready(void **state)
{
    (void)state;
    health_progress(health, 3, 12, "3/12 2024 \"x\"\n");
    const char *answer = ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
    answer = ask("GET /health/ready?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(answer, "\"done\":3,\"total\":12,\"current\":\"3/12 2024 ?x??\"}"));
    assert_memory_equal(ask("GET /?ready HTTP/1.1\r\n\r\n"), "HTTP/1.1 200", 12);
    assert_memory_equal(ask("GET /x HTTP/1.1\r\nX: ready\r\n\r\n"), "HTTP/1.1 200", 12);
    answer = ask("HEAD /ready HTTP/1.0\n\n");
    assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
    assert_memory_equal(answer + strlen(answer) - 4, "\r\n\r\n", 4);
}

static void
requests_may_come_in_pieces(void **state)
{
    (void)state;
    char answer[512];
    int fd = client();
    serve();
    assert_int_equal(send(fd, "GET /re", 7, 0), 7);
    serve();
    assert_int_equal(recv(fd, answer, sizeof answer, MSG_DONTWAIT), -1);
    assert_int_equal(send(fd, "ady HTTP/1.1\r\n\r\n", 16, 0), 16);
    serve();
    assert_true(recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 13);
    assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
    close(fd);
}

static void
long_requests_are_cut_off(void **state)
{
    (void)state;
    char junk[6000], answer[16];
    memset(junk, 'x', sizeof junk);
    int fd = client();
    (void)send(fd, junk, sizeof junk, MSG_NOSIGNAL);
    serve();
    assert_int_equal(recv(fd, answer, sizeof answer, 0), -1); /* reset */
    close(fd);
    assert_memory_equal(ask("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200", 12);
}

static void
idle_clients_give_way(void **state)
{
    (void)state;
    int idle[40];
    for (size_t i = 0; i < COUNT_OF(idle); i++) {
        idle[i] = client();
        serve();
    }
    assert_memory_equal(ask("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200", 12);
    for (size_t i = 0; i < COUNT_OF(idle); i++)
        close(idle[i]);
}

static void
the_port_is_free_afterwards(void **state)
{
    (void)state;
    int hanging = client();
    (void)send(hanging, "GET / HTTP/1.1\r\n\r\n", 18, 0);
    (void)ask("GET / HTTP/1.1\r\n\r\n");
    health_close(health);
    struct sockaddr_in address = local(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* without SO_REUSEADDR */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    close(hanging);
}

static void
bad_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "x", "0", "65536", "-1", "80x", "localhost:80", ":", "1.2.3:80", "300.1.1.1:80",
        "[::1:80"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Health *other = NULL;
        err = ERROR_INIT;
        if (health_open(arena, bad[i], &other, &err))
            fail_msg("accepted '%s'", bad[i]);
        assert_int_equal(err.code, ERROR_USAGE);
        assert_null(other);
    }
    Health *second = NULL;
    err = ERROR_INIT;
    assert_false(health_open(arena, str_printf(arena, "127.0.0.1:%d", port), &second, &err));
    assert_true(err.hint[0] != '\0');
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(alive_but_not_ready),         TEST(requests_may_come_in_pieces),
        TEST(long_requests_are_cut_off),   TEST(idle_clients_give_way),
        TEST(the_port_is_free_afterwards), TEST(bad_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
