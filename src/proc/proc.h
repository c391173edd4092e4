/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Processes and signals: signals arrive through one descriptor, children run in groups of their
 * own and are never left behind, exec failures are told apart. The only room that forks, execs,
 * kills or waits.
 */

#include "core/error.h"
#include "core/str.h"
#include "core/wait.h"

/* Blocks TERM INT HUP QUIT CHLD (and PIPE ignored) and returns a signalfd, close-on-exec. */
bool signals_open(int *ret_fd, Error *err) MUST_CHECK;
int signals_read(int fd); /* for Wait.read_signal: TERM/INT/HUP/QUIT number, 0 for others */
const char *signals_name(int signo); /* "SIGTERM" */
/* Put masks and dispositions back to what they were when the process started. */
void signals_restore(void);
/* Become a sub-reaper, or be none any more: orphans come to us (as to PID 1), or go to init. */
void proc_become_reaper(bool yes);
/* Reap whatever has ended without blocking. */
void proc_reap(void);

/* Become `argv[0]` (PATH is searched in `envp`'s PATH). Restores signals, closes nothing that is
 * not close-on-exec. Returns only on failure: ERROR_NOT_FOUND or ERROR_NOT_EXECUTABLE. */
bool proc_exec(char *const *argv, char *const *envp, Error *err);

typedef struct ChildSpec {
    char *const *argv;
    char *const *envp;
    const char *stdin_path; /* NULL = /dev/null */
    int stdout_fd;          /* -1 = lines to `line`; else inherited descriptor (a file) */
    /* Each line of stdout (stream 1) and stderr (stream 2), without its end, capped at 64 KiB. */
    void (*line)(void *ctx, int stream, Str line);
    void *line_ctx;
    /* Before the family is told to end: a last look at it. May be NULL. */
    void (*stopping)(void *ctx);
    void *stopping_ctx;
    /* Should we be killed ourselves, its whole group goes with us, not only the child: what
     * `npm run` started would work on without the lock. */
    bool group_dies_with_us;
    int64_t grace_ms;   /* between TERM and KILL when stopped */
    int64_t timeout_ms; /* 0 = none */
    /* What leaves its group is let go: a program that starts services without a daemon of its own
     * (podman) has each of them in a session behind it. */
    bool lets_go;
} ChildSpec;

/*
 * Runs it to its end, in a session of its own (without a terminal), until every descendant is gone;
 * what it leaves running has `grace_ms` to end by itself. On a signal: the whole family gets it,
 * then KILL after `grace_ms`, and err is ERROR_SIGNALLED; the tick of `w` goes on meanwhile, so
 * that a lock is kept until nobody writes any more. When the tick fails (the lock is lost): KILL at
 * once. Reaps every child of the process while it runs. *ret_status: exit code, 128+N.
 */
bool child_run(Wait *w, const ChildSpec *spec, int *ret_status, Error *err) MUST_CHECK;

/*
 * The same, with its stdout read piece by piece, so that nothing of it has to be kept (stdout_fd is
 * -1; `line` gets stderr alone). `spec` must live until child_close, which every child_open that
 * succeeded needs: what was not read to its end is ended by SIGTERM. The time-out counts while
 * child_read waits, and in child_close.
 */
typedef struct Child Child;
bool child_open(Arena *arena, Wait *w, const ChildSpec *spec, Child **ret, Error *err) MUST_CHECK;
/* *ret_n 0: the end of its output. */
bool child_read(Child *child, char *buf, size_t size, size_t *ret_n, Error *err) MUST_CHECK;
bool child_close(Child *child, int *ret_status, Error *err) MUST_CHECK;

/* Full path of a program in PATH, NULL when there is none. */
char *proc_which(Arena *arena, const char *program, char *const *envp);

/* Local ports, "40112,40113", of the TCP connections to `remote_port` of any host that this process
 * itself and that its descendants hold; "" where there are none, or /proc does not tell. */
typedef struct ProcPorts {
    Str own, family;
} ProcPorts;
void proc_ports(Arena *arena, int remote_port, ProcPorts *ret);
