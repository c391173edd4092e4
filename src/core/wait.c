/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one poll loop. Order of things in each turn: signals, tick, then the descriptor; so a busy
 * descriptor starves neither a stop nor a heartbeat.
 */

#include "core/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "core/clock.h"
#include "core/banned.h"

Wait
wait_init(void)
{
    return (Wait){.signal_fd = -1, .side_fd = -1};
}

static const char *
signal_name(int signo)
{
    switch (signo) {
    case SIGTERM:
        return "SIGTERM";
    case SIGINT:
        return "SIGINT";
    case SIGHUP:
        return "SIGHUP";
    case SIGQUIT:
        return "SIGQUIT";
    default:
        return "a signal";
    }
}

static void
read_signals(Wait *w)
{
    if (w->signal_fd < 0 || !w->read_signal)
        return;
    for (;;) {
        struct pollfd p = {.fd = w->signal_fd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0)
            return;
        int signo = w->read_signal(w->signal_fd);
        if (signo && !w->signal_caught)
            w->signal_caught = signo;
    }
}

static bool
stopped_by_signal(const Wait *w, Error *err)
{
    if (!w->signal_caught || w->cleaning)
        return false;
    error_set(err, ERROR_SIGNALLED, "ended by %s", signal_name(w->signal_caught));
    err->signal = w->signal_caught;
    return true;
}

static bool
ticks(const Wait *w)
{
    return w->tick.call && w->tick.every_ms > 0 && !w->in_tick && !w->cleaning;
}

static bool
tick(Wait *w, Error *err)
{
    if (!ticks(w) || clock_ms() < w->next_tick_ms)
        return true;
    int64_t outer = w->limit_ms;
    w->in_tick = true;
    if (w->tick.patience_ms > 0)
        w->limit_ms = clock_ms() + w->tick.patience_ms;
    bool ok = w->tick.call(w->tick.ctx, err);
    w->limit_ms = outer;
    w->in_tick = false;
    w->next_tick_ms = clock_ms() + w->tick.every_ms;
    return ok;
}

/* Here too, and not in wait_fd alone: a library that never waits (SQLite) must not silence probes.
 */
static void
serve_side(Wait *w)
{
    struct pollfd p = {.fd = w->side_fd, .events = POLLIN};
    if (w->side_fd >= 0 && w->side_call && poll(&p, 1, 0) > 0)
        w->side_call(w->side_ctx);
}

bool
wait_check(Wait *w, Error *err)
{
    read_signals(w);
    serve_side(w);
    return !stopped_by_signal(w, err) && tick(w, err);
}

/* Milliseconds poll may sleep: to the deadline or the next tick, -1 = no limit. */
static int
patience(const Wait *w, int64_t deadline_ms, int64_t now)
{
    int64_t until = deadline_ms < 0 && w->limit_ms > 0 ? w->limit_ms : deadline_ms;
    if (ticks(w) && (until < 0 || w->next_tick_ms < until))
        until = w->next_tick_ms;
    if (until < 0)
        return -1;
    int64_t ms = until - now;
    return ms <= 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

static bool
within_limit(const Wait *w, int64_t now, Error *err)
{
    if (w->limit_ms <= 0 || now < w->limit_ms)
        return true;
    error_set(err, ERROR_UNREACHABLE, "the database does not answer any more");
    err->cls = ERROR_CLASS_CONNECTION;
    return false;
}

WaitResult
wait_fd(Wait *w, int fd, short events, int64_t deadline_ms, Error *err)
{
    for (;;) {
        int64_t now = clock_ms();
        if (!wait_check(w, err) || (deadline_ms < 0 && !within_limit(w, now, err)))
            return WAIT_STOPPED;
        struct pollfd p[3] = {{.fd = fd, .events = events},
                              {.fd = w->signal_fd, .events = POLLIN},
                              {.fd = w->side_fd, .events = POLLIN}};
        int ready = poll(p, 3, patience(w, deadline_ms, now));
        if (ready < 0 && errno != EINTR) {
            error_set_errno(err, ERROR_FAILED, errno, "waiting (poll)");
            return WAIT_STOPPED;
        }
        if (ready > 0 && p[2].revents && w->side_call)
            w->side_call(w->side_ctx);
        if (ready > 0 && p[0].revents)
            return WAIT_READY;
        if (deadline_ms >= 0 && clock_ms() >= deadline_ms)
            return WAIT_DEADLINE;
    }
}

bool
wait_sleep(Wait *w, int64_t ms, Error *err)
{
    return wait_fd(w, -1, 0, clock_ms() + ms, err) != WAIT_STOPPED;
}

void
wait_cleanup_begin(Wait *w)
{
    w->cleaning++;
}

void
wait_cleanup_end(Wait *w)
{
    w->cleaning--;
}
