/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Orders to another machine, by ssh: with the configuration, the agent and the known hosts of who
 * deploys. An unknown host key is refused, and no prompt is waited for. Nothing secret is among the
 * words, which both machines show to everybody.
 *
 * ssh's own status 255 can be the connection's end or the remote program's: what it says on stderr
 * tells. When the connection is lost, the program over there goes on, and nobody knows how it
 * ended.
 */

#include "deploy/platform.h"

typedef struct Remote {
    const char *account; /* USER@HOST */
    const char *port;    /* NULL = ssh's own */
} Remote;

/* `[ssh://][USER@]HOST[:PORT]`; ERROR_USAGE. */
bool
remote_read(Arena *arena, const char *text, const char *user, Remote *ret, Error *err) MUST_CHECK;

/* True for a word that every shell on the way leaves as it is: forced commands split what they get
 * at blanks, expand patterns, and know no quotes. */
bool remote_is_plain(const char *word);

/* `ssh OPTIONS -- ACCOUNT words...`; all of them plain. */
Order remote_order(const Deploy *d, const Remote *remote, const char *word, ...)
    __attribute__((sentinel));

/* Runs it, a status other than 0 being an answer. *ret_lost: the connection broke, or was never
 * made; the answer's status means nothing then. ERROR_USAGE when the host is not trusted or does
 * not let us in: no second try mends that. */
bool remote_run(Deploy *d, Order *order, Answer *ret, bool *ret_lost, Error *err) MUST_CHECK;
/* A question that changes nothing: asked again while the connection is lost, a few times. */
bool remote_ask(Deploy *d, const Remote *remote, Order *order, Answer *ret, Error *err) MUST_CHECK;
