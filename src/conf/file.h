/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* lockstep.yaml as a flat list of keys with their places. Knows YAML, not what the keys mean. */

#include "core/error.h"
#include "core/str.h"

typedef struct FileKey {
    char *name;          /* "lock_wait", "expect.engine" */
    char *text;          /* scalar; NULL when it is a list */
    char **list;         /* NULL-terminated; NULL when it is a scalar */
    size_t line, column; /* of the key */
    size_t value_line, value_column;
    bool from_environment; /* of the chosen part under `environments:` */
} FileKey;

typedef VEC(FileKey) FileKeys;

/* Top-level keys, `expect:` flattened, and the keys of environments.<environment> (NULL = none).
 * Keys of other environments are listed in `ret_others`, to be checked by name. Errors have
 * file:line:column. */
bool config_file_read(Arena *arena,
                      const char *path,
                      const char *environment,
                      FileKeys *ret,
                      FileKeys *ret_others,
                      Error *err) MUST_CHECK;
