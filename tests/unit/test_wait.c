/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, ticks, signals and cleaning up in the one poll loop. */

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/wait.h"

static int signals[2], data[2], side[2]; /* pipes: a byte written to `signals` is a signal */
static Wait w;
static Error err;

static int
read_one(int fd)
{
    unsigned char byte = 0;
    return read(fd, &byte, 1) == 1 ? byte : 0;
}

static void
send_byte(int fd, int byte)
{
    unsigned char one = (unsigned char)byte;
    assert_int_equal(write(fd, &one, 1), 1);
}

static int
set_up(void **state)
{
    (void)state;
    err = ERROR_INIT;
    if (pipe(signals) != 0 || pipe(data) != 0 || pipe(side) != 0)
        return -1;
    w = wait_init();
    w.signal_fd = signals[0];
    w.read_signal = read_one;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        close(signals[i]);
        close(data[i]);
        close(side[i]);
    }
    return 0;
}

static void
test_sleep_and_deadline(void **state)
{
    (void)state;
    Wait bare = wait_init();
    int64_t start = clock_ms();
    assert_true(wait_sleep(&bare, 30, &err));
    assert_true(clock_ms() - start >= 29);
    assert_true(wait_sleep(&bare, 0, &err));
    assert_int_equal(wait_fd(&bare, data[0], POLLIN, clock_ms() + 20, &err), WAIT_DEADLINE);
    assert_int_equal(wait_fd(&bare, data[0], POLLIN, 0, &err), WAIT_DEADLINE);
    send_byte(data[1], 1);
    assert_int_equal(wait_fd(&bare, data[0], POLLIN, -1, &err), WAIT_READY);
    /* What is there is there, also when the time is over. */
    assert_int_equal(wait_fd(&bare, data[0], POLLIN, 0, &err), WAIT_READY);
    assert_true(wait_check(&bare, &err));
    assert_int_equal(err.code, ERROR_NONE);
}

static void
test_closed_descriptor_is_ready(void **state)
{
    (void)state;
    close(data[1]);
    data[1] = dup(data[0]);
    assert_int_equal(wait_fd(&w, data[0], POLLIN, clock_ms() + 5000, &err), WAIT_READY);
}

static void
test_signal_stops(void **state)
{
    (void)state;
    send_byte(signals[1], SIGTERM);
    send_byte(signals[1], SIGINT);
    assert_int_equal(wait_fd(&w, data[0], POLLIN, -1, &err), WAIT_STOPPED);
    assert_int_equal(err.code, ERROR_SIGNALLED);
    assert_int_equal(err.signal, SIGTERM); /* the first */
    assert_int_equal(error_exit_status(&err), 143);
    assert_string_equal(err.message, "ended by SIGTERM");
    /* Every later wait ends too, with an error of its own. */
    Error second = ERROR_INIT;
    assert_false(wait_sleep(&w, 5000, &second));
    assert_int_equal(second.signal, SIGTERM);
    Error third = ERROR_INIT;
    assert_false(wait_check(&w, &third));
}

static void
test_signal_wins_over_ready_data(void **state)
{
    (void)state;
    send_byte(data[1], 1);
    send_byte(signals[1], SIGINT);
    assert_int_equal(wait_fd(&w, data[0], POLLIN, -1, &err), WAIT_STOPPED);
    assert_string_equal(err.message, "ended by SIGINT");
}

static void
test_other_signals_are_nothing(void **state)
{
    (void)state;
    send_byte(signals[1], 0); /* what read_signal says for SIGCHLD */
    assert_int_equal(wait_fd(&w, data[0], POLLIN, clock_ms() + 20, &err), WAIT_DEADLINE);
    assert_int_equal(w.signal_caught, 0);
}

static void
test_cleaning(void **state)
{
    (void)state;
    send_byte(signals[1], SIGTERM);
    assert_false(wait_check(&w, &err));
    wait_cleanup_begin(&w);
    wait_cleanup_begin(&w);
    error_clear(&err);
    assert_true(wait_sleep(&w, 10, &err));
    wait_cleanup_end(&w);
    assert_true(wait_check(&w, &err)); /* still one deep */
    wait_cleanup_end(&w);
    assert_false(wait_check(&w, &err));
}

static void
test_signal_during_cleaning_is_kept(void **state)
{
    (void)state;
    wait_cleanup_begin(&w);
    send_byte(signals[1], SIGHUP);
    assert_true(wait_sleep(&w, 10, &err));
    assert_int_equal(w.signal_caught, SIGHUP);
    wait_cleanup_end(&w);
    assert_false(wait_check(&w, &err));
    assert_int_equal(err.signal, SIGHUP);
}

typedef struct Ticks {
    int count, fail_at;
    bool nest;
} Ticks;

static bool
on_tick(void *ctx, Error *error)
{
    Ticks *t = ctx;
    t->count++;
    if (t->nest && !wait_sleep(&w, 25, error))
        return false;
    if (t->count == t->fail_at)
        return error_set(error, ERROR_LOCKED, "the lock is lost");
    return true;
}

static void
test_tick_while_sleeping(void **state)
{
    (void)state;
    Ticks t = {0};
    w.tick = (WaitTick){10, on_tick, &t};
    int64_t start = clock_ms();
    /* A busy machine may leave some out; there are never more of them. */
    for (int tries = 0; tries < 100 && t.count < 4; tries++)
        assert_true(wait_sleep(&w, 55, &err));
    assert_in_range(t.count, 4, 1 + (clock_ms() - start) / 10);
}

static void
test_tick_with_busy_descriptor(void **state)
{
    (void)state;
    Ticks t = {0};
    w.tick = (WaitTick){10, on_tick, &t};
    send_byte(data[1], 1);
    int64_t start = clock_ms();
    while (t.count < 3 && clock_ms() < start + 20000)
        assert_int_equal(wait_fd(&w, data[0], POLLIN, -1, &err), WAIT_READY);
    assert_in_range(t.count, 3, 1 + (clock_ms() - start) / 10);
}

static void
test_tick_fails(void **state)
{
    (void)state;
    Ticks t = {.fail_at = 3};
    w.tick = (WaitTick){5, on_tick, &t};
    assert_int_equal(wait_fd(&w, data[0], POLLIN, -1, &err), WAIT_STOPPED);
    assert_int_equal(err.code, ERROR_LOCKED);
    assert_int_equal(t.count, 3);
}

static void
test_tick_does_not_nest_and_rests(void **state)
{
    (void)state;
    Ticks t = {.nest = true};
    w.tick = (WaitTick){5, on_tick, &t};
    assert_true(wait_check(&w, &err));
    assert_int_equal(t.count, 1);
    wait_cleanup_begin(&w);
    assert_true(wait_sleep(&w, 30, &err));
    assert_int_equal(t.count, 1);
    wait_cleanup_end(&w);
    w.tick = (WaitTick){5, NULL, NULL}; /* no call is fine */
    assert_true(wait_sleep(&w, 20, &err));
    w.tick = (WaitTick){0, on_tick, &t};
    assert_true(wait_sleep(&w, 20, &err));
    assert_int_equal(t.count, 1);
}

/* A signal inside a tick ends the tick, and with it the wait. */
static void
test_signal_in_tick(void **state)
{
    (void)state;
    Ticks t = {.nest = true};
    w.tick = (WaitTick){5, on_tick, &t};
    w.signal_fd = -1;
    w.signal_caught = 0;
    assert_true(wait_check(&w, &err));
    w.signal_fd = signals[0];
    send_byte(signals[1], SIGQUIT);
    assert_int_equal(wait_fd(&w, data[0], POLLIN, -1, &err), WAIT_STOPPED);
    assert_int_equal(err.signal, SIGQUIT);
}

static void
on_side(void *ctx)
{
    (*(int *)ctx)++;
    (void)read_one(side[0]);
}

static void
test_side_descriptor(void **state)
{
    (void)state;
    int served = 0;
    w.side_fd = side[0];
    w.side_call = on_side;
    w.side_ctx = &served;
    send_byte(side[1], 1);
    send_byte(side[1], 1);
    for (int tries = 0; tries < 100 && served < 2; tries++)
        assert_int_equal(wait_fd(&w, data[0], POLLIN, clock_ms() + 30, &err), WAIT_DEADLINE);
    assert_int_equal(served, 2);
    send_byte(side[1], 1);
    send_byte(data[1], 1);
    assert_int_equal(wait_fd(&w, data[0], POLLIN, -1, &err), WAIT_READY);
    assert_int_equal(served, 3);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_sleep_and_deadline),
        TEST(test_closed_descriptor_is_ready),
        TEST(test_signal_stops),
        TEST(test_signal_wins_over_ready_data),
        TEST(test_other_signals_are_nothing),
        TEST(test_cleaning),
        TEST(test_signal_during_cleaning_is_kept),
        TEST(test_tick_while_sleeping),
        TEST(test_tick_with_busy_descriptor),
        TEST(test_tick_fails),
        TEST(test_tick_does_not_nest_and_rests),
        TEST(test_signal_in_tick),
        TEST(test_side_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
