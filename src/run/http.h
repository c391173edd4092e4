/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One question over HTTP or HTTPS: is the service up? */

#include "core/error.h"
#include "core/wait.h"

/* The status of a GET, redirects not followed, within `limit_ms`. ERROR_UNREACHABLE: nobody
 * answered, or libcurl is missing (ERROR_USAGE). */
bool
http_ask(Wait *wait, const char *url, int64_t limit_ms, long *ret_status, Error *err) MUST_CHECK;
/* "http://" or "https://". */
bool http_is_url(const char *text);
