/* SPDX-License-Identifier: Apache-2.0 */
/* Time: monotonic for waits, wall clock for people. */

#include "core/clock.h"

#include <sys/random.h>
#include <time.h>

#include "core/banned.h"

int64_t
clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *
clock_rfc3339(Arena *arena)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    return str_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                      utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                      (int)(now.tv_nsec / 1000000));
}

char *
clock_stamp(Arena *arena)
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    return str_printf(arena, "%04d%02d%02d%02d%02d%02d", utc.tm_year + 1900, utc.tm_mon + 1,
                      utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

int64_t
clock_backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms)
{
    int64_t top = base_ms;
    for (int i = 0; i < attempt && top < cap_ms; i++)
        top *= 2;
    if (top > cap_ms)
        top = cap_ms;
    int64_t low = base_ms / 2 < top ? base_ms / 2 : top;
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint64_t)clock_ms();
    return low + (int64_t)(random % (uint64_t)(top - low + 1));
}
