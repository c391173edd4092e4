/* SPDX-License-Identifier: Apache-2.0 */
/* The environment as a value: looked up, and copied with changes; never the process's own. */

#include <string.h>

#include "conf/settings.h"
#include "core/fs.h"
#include "core/banned.h"

enum { SECRET_FILE_CEILING = 64 * 1024 };

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

bool
env_secret(Arena *arena, char *const *environ_, const char *name, Str *ret, Error *err)
{
    const char *value = env_get(environ_, name);
    if (value && *value) {
        *ret = str_of(value);
        return true;
    }
    const char *path = env_get(environ_, str_printf(arena, "%s_FILE", name));
    if (!path || !*path) {
        *ret = STR_ABSENT;
        return true;
    }
    Str text;
    if (!fs_read(arena, path, SECRET_FILE_CEILING, &text, err)) {
        error_wrap(err, "%s_FILE", name);
        return error_hint(err, "%s_FILE names a file whose content stands for %s.", name, name);
    }
    /* Editors and `docker secret create` leave a line end; a password does not begin or end so. */
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    if (str_find(text, 0) < text.n) {
        error_set(err, ERROR_USAGE, "%s_FILE: the file '%s' holds a NUL byte", name, path);
        return error_hint(err, "%s_FILE names a text file whose content stands for %s.", name,
                          name);
    }
    *ret = text.n ? str_copy(arena, text) : STR_ABSENT;
    return true;
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
