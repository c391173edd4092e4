/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Events POSTed as JSON to receivers, in order for each of them, while the run goes on: nothing
 * here blocks but notify_drain, and nothing here ever fails a run. A receiver that does not take an
 * event within 5 s is warned about once.
 */

#include "core/error.h"
#include "core/str.h"
#include "core/wait.h"

typedef struct Notify Notify;

/* `urls` is NULL-terminated. ERROR_USAGE for what is no http or https URL (its text is not echoed).
 * Path and query count as secrets from here on. */
bool notify_open(Arena *arena, char *const *urls, Notify **ret, Error *err) MUST_CHECK;
int notify_fd(const Notify *n); /* readable: notify_serve has something to do */
void notify_serve(Notify *n);
/* True for the events that receivers are told: start, success, failure, blocked. */
bool notify_wants(const char *event);
void notify_event(Notify *n, Str json);
/* Until everything is sent or 5 s have passed. */
void notify_drain(Notify *n, Wait *wait);
void notify_close(Notify *n); /* NULL is fine */
