/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The environment as a value, NULL-terminated "NAME=value" strings: handed down from main, never
 * the process's own. */

#include "core/str.h"

const char *env_get(char *const *environ_, const char *name); /* NULL = not set */
/* A copy without the names listed (NULL-terminated). */
char **env_without(Arena *arena, char *const *environ_, const char *const *names);
char **env_with(Arena *arena, char *const *environ_, const char *name, const char *value);
