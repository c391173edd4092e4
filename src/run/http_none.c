/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libcurl asks nobody. */

#include "run/http.h"

#include <string.h>

#include "core/banned.h"

bool
http_is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

bool
http_ask(Wait *wait, const char *url, int64_t limit_ms, long *ret_status, Error *err)
{
    (void)wait, (void)limit_ms, (void)ret_status;
    return error_set(err, ERROR_USAGE, "'%s' cannot be asked: this build has no HTTP client", url);
}
