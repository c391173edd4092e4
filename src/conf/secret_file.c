/* SPDX-License-Identifier: Apache-2.0 */
/* Values that may stand in a file instead: Docker secrets. */

#include "conf/settings.h"
#include "core/fs.h"
#include "core/banned.h"

enum { SECRET_FILE_CEILING = 64 * 1024 };

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
