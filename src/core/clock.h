/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Monotonic milliseconds for waits and durations; wall clock only for what people read. */

#include "core/str.h"

int64_t clock_ms(void);
char *clock_rfc3339(Arena *arena); /* now, UTC, milliseconds: 2026-01-02T03:04:05.678Z */
char *clock_stamp(Arena *arena);   /* now, UTC: YYYYMMDDHHMMSS */
/* Full jitter: a random duration in [base/2, min(cap, base * 2^attempt)]. */
int64_t clock_backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms);
