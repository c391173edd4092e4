/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Orders: other people's programs (docker, ssh, kubectl, gcloud) do what a deploy needs. Each has a
 * deadline. What is secret travels in the environment or on standard input, never among the words,
 * which everybody on the machine can read. In a dry run nothing at all is started: orders are told,
 * values as `***`, and answer what they pretend.
 */

#include "core/env.h"
#include "core/error.h"
#include "core/str.h"
#include "core/wait.h"
#include "tools/tool.h"

typedef struct Orders {
    Arena *arena;
    Wait *wait;
    char *const *environ_;
    bool dry_run;
    int64_t grace_ms;
    /* A dry run: one command a line, as a shell would take it. */
    void (*tell)(void *ctx, Str line);
    void *tell_ctx;
} Orders;

typedef struct Order {
    Words argv;        /* NULL-terminated by order_run */
    Words env;         /* NAME=VALUE, beside our own environment; the values are secret */
    Str input;         /* for standard input; absent = nothing */
    Str shown;         /* of the input, in a dry run; absent = nothing */
    int64_t limit_ms;  /* 0 = ORDER_MS */
    bool to_log;       /* what it prints is the story: each line is logged as it comes */
    bool may_fail;     /* a status other than 0 is an answer, not an error */
    const char *stage; /* "docker", for the log and errors; NULL = argv[0] */
    /* In a dry run it answers this on stdout; NULL = "". */
    const char *pretend;
    /* Each line of stdout, in place of `out`, as it comes; may be NULL. */
    void (*line)(void *ctx, int stream, Str line);
    bool line_of_both; /* of stderr, too, which is in `said` nevertheless */
    void *line_ctx;
} Order;

typedef struct Answer {
    int status;
    Str out;  /* stdout, whole lines, at most ANSWER_CEILING bytes; the end blank is cut */
    Str said; /* stderr likewise, secrets replaced */
} Answer;

enum { ORDER_MS = 60000, ANSWER_CEILING = 16 << 20 };

/* Words with the program first: order_of(arena, "docker", "inspect", name, NULL). */
Order order_of(Arena *arena, const char *program, ...) __attribute__((sentinel));
void order_add(Arena *arena, Order *order, const char *word, ...) __attribute__((sentinel));
/* `--env NAME` style: NAME into the words elsewhere, the value here. */
void order_env(Arena *arena, Order *order, const char *name, Str value);
/* `--env NAME` for each NAME=VALUE, the value in the environment; of those that would mean the
 * program itself (PATH, HOME, DOCKER_HOST, ...) in an `--env-file` in memory, which takes no value
 * of several lines: ERROR_USAGE. */
bool order_hand(const Orders *orders, Order *order, const Words *pairs, Error *err) MUST_CHECK;

/* A file for a program to read that is nowhere on disk. In a dry run its path is its name, and what
 * it holds is told as a command that would write it. */
bool order_memory_file(
    const Orders *orders, const char *name, Str data, char **ret_path, Error *err) MUST_CHECK;

/*
 * Runs it to its end. ERROR_USAGE where the program is not installed; ERROR_FAILED with what it
 * printed last where the status is not 0 and it may not fail; ERROR_SIGNALLED when stopped. A
 * deadline that passed is ERROR_FAILED with cls ERROR_CLASS_TIMEOUT. ret may be NULL.
 */
bool order_run(const Orders *orders, Order *order, Answer *ret, Error *err) MUST_CHECK;

/* Lines of what was printed, without blanks around them; empty ones are left out. */
Words answer_lines(Arena *arena, Str out);

/* As one line that a shell would take: words quoted where they must be, variables before them as
 * NAME=***. */
Str order_text(Arena *arena, const Order *order);
