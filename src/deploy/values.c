/* SPDX-License-Identifier: Apache-2.0 */
/* Paths into jansson's values. */

#include "deploy/values.h"

#include "core/banned.h"

void
values_cleanup(json_t **json)
{
    json_decref(*json);
}

json_t *
value_at(const json_t *json, const char *path)
{
    json_t *at = (json_t *)(uintptr_t)json;
    for (Str rest = str_of(path); at && rest.n;) {
        size_t end = str_find(rest, '.');
        at = json_object_getn(at, rest.p, end);
        rest = str_sub(rest, end + 1, rest.n);
    }
    return json_is_null(at) ? NULL : at;
}

Str
value_text(const json_t *json, const char *path)
{
    const json_t *value = value_at(json, path);
    return json_is_string(value) ? (Str){json_string_value(value), json_string_length(value)}
                                 : STR_ABSENT;
}

json_t *
value_item(const json_t *list, const char *path, Str text)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        if (str_eq(value_text(one, path), text))
            return one;
    }
    return NULL;
}

int64_t
value_number(const json_t *json, const char *path)
{
    const json_t *value = value_at(json, path);
    return json_is_integer(value) ? json_integer_value(value) : 0;
}

bool
value_true(const json_t *json, const char *path)
{
    return json_is_true(value_at(json, path));
}

bool
values_read(Str text, const char *who, json_t **ret, Error *err)
{
    json_error_t why;
    json_t *json = json_loadb(text.p, text.n, 0, &why);
    if (!json)
        return error_set(err, ERROR_FAILED, "what '%s' printed is no JSON (line %d: %s)", who,
                         why.line, why.text);
    *ret = json;
    return true;
}

Str
values_print(Arena *arena, const json_t *json)
{
    enum { FLAGS = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY };
    size_t n = json_dumpb(json, NULL, 0, FLAGS);
    char *text = arena_alloc(arena, n + 1);
    return (Str){text, json_dumpb(json, text, n, FLAGS)};
}
