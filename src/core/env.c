/* SPDX-License-Identifier: Apache-2.0 */
/* The environment as a value: looked up, and copied with changes. */

#include "core/env.h"

#include <string.h>

#include "core/banned.h"

const char *
env_get(char *const *environ_, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; environ_ && environ_[i]; i++) {
        if (strncmp(environ_[i], name, n) == 0 && environ_[i][n] == '=')
            return environ_[i] + n + 1;
    }
    return NULL;
}

static bool
is_named(const char *entry, const char *name)
{
    size_t n = strlen(name);
    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

char **
env_without(Arena *arena, char *const *environ_, const char *const *names)
{
    VEC(char *) copy = {0};
    for (size_t i = 0; environ_ && environ_[i]; i++) {
        bool dropped = false;
        for (size_t k = 0; names[k] && !dropped; k++)
            dropped = is_named(environ_[i], names[k]);
        if (!dropped)
            *vec_push(arena, &copy) = environ_[i];
    }
    *vec_push(arena, &copy) = NULL;
    return copy.p;
}

char **
env_with(Arena *arena, char *const *environ_, const char *name, const char *value)
{
    VEC(char *) copy = {0};
    for (size_t i = 0; environ_ && environ_[i]; i++) {
        if (!is_named(environ_[i], name))
            *vec_push(arena, &copy) = environ_[i];
    }
    *vec_push(arena, &copy) = str_printf(arena, "%s=%s", name, value);
    *vec_push(arena, &copy) = NULL;
    return copy.p;
}
