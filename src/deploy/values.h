/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Values in what other programs print as JSON, by a path of keys: "State.Health.Status". */

#include <jansson.h>

#include "core/error.h"
#include "core/str.h"

void values_cleanup(json_t **json);
#define AUTO_JSON CLEANUP(values_cleanup) json_t

/* Borrowed from `json`: NULL, absent, 0 and false where there is none. */
json_t *value_at(const json_t *json, const char *path);
Str value_text(const json_t *json, const char *path);
int64_t value_number(const json_t *json, const char *path);
bool value_true(const json_t *json, const char *path);
/* The first of a list whose value there is this text. */
json_t *value_item(const json_t *list, const char *path, Str text);

/* The whole text; the caller owns *ret. ERROR_FAILED with who printed it. */
bool values_read(Str text, const char *who, json_t **ret, Error *err) MUST_CHECK;
/* On one line, as it is given to a program. */
Str values_print(Arena *arena, const json_t *json);
