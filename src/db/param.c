/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a database URL that go by several names. */

#include "db/param.h"

#include "core/banned.h"

const char *
param_any(const DbUrl *url, const char *const *names)
{
    for (; *names; names++) {
        const char *value = dburl_param(url, *names);

        if (value)
            return value;
    }
    return NULL;
}

bool
param_refused(const char *name, const char *value, const char *want, Error *err)
{
    return error_set(err, ERROR_USAGE,
                     "the option '%s' of the database URL cannot be '%s'; it is %s", name, value,
                     want);
}
