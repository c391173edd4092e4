/* SPDX-License-Identifier: Apache-2.0 */
/* The strict parsers, and the search for the nearest name, on whatever a user may type. */

#include "core/str.h"

#include <stdlib.h>

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"migrate", "status", "rollback", "--lock-wait", NULL};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCRATCH_ARENA(arena);
    Str text = {(const char *)data, size};
    int64_t number = -1, ms = -1;
    bool truth;
    size_t line, column, bad = 0;

    (void)!str_to_i64(text, &number);
    (void)!str_to_bool(text, &truth);
    if (str_to_duration_ms(text, &ms)) {
        if (ms < 0)
            abort();
        (void)str_from_duration_ms(arena, ms);
    }
    if (!str_is_utf8(text, &bad) && bad >= size)
        abort();
    str_position(text, size / 2, &line, &column);
    Str whole = str_line_at(text, size / 2);
    if (str_find(whole, '\n') != whole.n)
        abort();
    (void)str_nearest(text, names);
    (void)str_trim(text);
    return 0;
}
