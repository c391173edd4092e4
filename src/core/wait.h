/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Waiting: everything that blocks does it here, so that each wait has a deadline, ends on SIGTERM
 * or SIGINT, and lets the heartbeat go on. One Wait a process, made by the command, passed down by
 * pointer; drivers hold it. A tick must not use the connection that is waiting.
 */

#include "core/error.h"

typedef struct Wait Wait;

typedef struct WaitTick {
    int64_t every_ms; /* 0 = none */
    /* Called between polls at least every `every_ms`. False (with err set) ends the wait: the
     * waiter cancels what it does and returns this error. May be NULL. */
    bool (*call)(void *ctx, Error *err);
    void *ctx;
    /* What a tick itself waits for must answer within this, else the tick fails as a lost
     * connection (a network that swallows packets would stop the heartbeat for ever). 0 = no limit.
     */
    int64_t patience_ms;
} WaitTick;

struct Wait {
    int signal_fd;              /* signalfd (proc/signals.h), -1 = none */
    int signal_caught;          /* the first SIGTERM/SIGINT/SIGHUP/SIGQUIT seen, 0 = none */
    int (*read_signal)(int fd); /* reads one signal from signal_fd; 0 = nothing for us */
    WaitTick tick;
    int64_t next_tick_ms;
    bool in_tick; /* ticks do not nest */
    /* Waits without a deadline of their own end here as a lost connection; 0 = no limit. For short
     * questions to a server that may have gone silent. In clock_ms() time. */
    int64_t limit_ms;
    int cleaning; /* depth of wait_cleanup_begin */
    /* Descriptors served besides (health responder): called when readable. fd -1 = none. */
    int side_fd;
    void (*side_call)(void *ctx);
    void *side_ctx;
};

typedef enum WaitResult {
    WAIT_READY,
    WAIT_DEADLINE, /* `deadline_ms` passed */
    WAIT_STOPPED,  /* err is set: ERROR_SIGNALLED, or what the tick returned */
} WaitResult;

Wait wait_init(void); /* no signals, no tick, no side descriptor */
/* `events` as for poll(2); fd -1 just sleeps. deadline_ms in clock_ms() time, -1 = none. */
WaitResult wait_fd(Wait *w, int fd, short events, int64_t deadline_ms, Error *err) MUST_CHECK;
/* True when slept through; false (err set) when stopped. */
bool wait_sleep(Wait *w, int64_t ms, Error *err) MUST_CHECK;
/* For libraries without a descriptor (SQLite's progress handler): serve signals and the tick
 * without blocking. False (err set) = stop now. */
bool wait_check(Wait *w, Error *err) MUST_CHECK;
/* After a signal has been noted, waits during cleaning up (cancel, rollback, unlock) must not end
 * at once: between begin and end signals are noted but do not stop a wait, and ticks rest. */
void wait_cleanup_begin(Wait *w);
void wait_cleanup_end(Wait *w);
