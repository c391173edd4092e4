/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files that a test writes below a directory of its own, and their removal. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"

static inline void
remove_tree(Arena *arena, const char *path)
{
    FsList list = {0};
    Error err = ERROR_INIT;
    if (!fs_list(arena, path, &list, &err))
        return;
    for (size_t i = 0; i < list.n; i++) {
        const char *child = fs_join(arena, path, list.p[i].name);
        if (list.p[i].kind == FS_DIR)
            remove_tree(arena, child);
        else
            (void)unlink(child);
    }
    (void)rmdir(path);
}

/* Makes the folders of `name` too. */
static inline void
write_below(Arena *arena, const char *dir, const char *name, const void *bytes, size_t n)
{
    char *path = fs_join(arena, dir, name);
    for (char *slash = strchr(path + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}
