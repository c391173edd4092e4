/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A secret cannot be formatted by accident: its text is reached by secret_reveal alone, and each
 * secret made is remembered, so that the log (and what a wrapped tool prints) shows `***` for it.
 * Both the raw value and its percent-encoded form are masked; values under 4 bytes are masked only
 * where they stand as a whole word.
 */

#include "core/str.h"

typedef struct Secret {
    const char *hidden; /* do not read; NULL when there is none */
} Secret;

Secret secret_make(Arena *arena, Str value); /* absent gives an empty secret */
bool secret_is_set(Secret s);
const char *secret_reveal(Secret s); /* for the driver and the child's environment only */
/* Remember a value to mask that is not held as a Secret (a token in a URL's path). */
void secret_mask_also(Str value);
Str secret_redact(Arena *arena, Str text); /* `text` itself when nothing is to be masked */
