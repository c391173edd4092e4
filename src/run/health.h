/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The probe responder while the service is not up yet: any path is answered 200 (the container
 * lives), a path that contains "ready" 503 with the progress as JSON (it takes no traffic yet).
 * Nothing here blocks: health_serve is called when health_fd is readable.
 */

#include "core/error.h"
#include "core/str.h"

typedef struct Health Health;

/* `address` is "[ADDR:]PORT"; without ADDR every address of the machine is bound. */
bool health_open(Arena *arena, const char *address, Health **ret, Error *err) MUST_CHECK;
int health_fd(const Health *h);
void health_serve(Health *h);
void health_progress(Health *h, int64_t done, int64_t total, const char *what);
/* The port is free afterwards, for programs that bind without SO_REUSEADDR too. NULL is fine. */
void health_close(Health *h);
