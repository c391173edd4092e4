/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Options of a database URL that go by several names. Included by the drivers. */

#include "db/url.h"

/* The value of the first of the names (NULL-terminated) that the URL has, or NULL. */
const char *param_any(const DbUrl *url, const char *const *names);
#define PARAM(url, ...) param_any((url), (const char *const[]){__VA_ARGS__, NULL})

/* Refuses `value`, which is not `want` ("on or off", "one of ..."). Always false. */
bool param_refused(const char *name, const char *value, const char *want, Error *err);
