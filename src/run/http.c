/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's multi interface, driven by a short sleep of the one poll loop: it is asked rarely. */

#include "run/http.h"

#include "core/clock.h"
#include "run/curl.h"

#include <string.h>

#include "core/banned.h"

enum { STEP_MS = 20 };

static bool
perform(Wait *wait, const CurlApi *curl, CURLM *multi, int64_t limit_ms, CURLcode *ret, Error *err)
{
    int64_t end = clock_ms() + limit_ms;
    for (int running = 1, left;;) {
        curl->multi_perform(multi, &running);
        const CURLMsg *m = curl->multi_info_read(multi, &left);
        if (m && m->msg == CURLMSG_DONE) {
            *ret = m->data.result;
            return true;
        }
        if (clock_ms() >= end) {
            *ret = CURLE_OPERATION_TIMEDOUT;
            return true;
        }
        if (!wait_sleep(wait, STEP_MS, err))
            return false;
    }
}

static bool
ask(Wait *wait,
    const CurlApi *curl,
    const char *url,
    int64_t limit_ms,
    long *ret_status,
    Error *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    CURLcode code = CURLE_FAILED_INIT;
    CURLM *multi = curl->multi_init();
    CURL *easy = curl->easy_init();
    bool done = multi && easy;
    if (done) {
        curl->easy_setopt(easy, CURLOPT_URL, url);
        curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl->easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)limit_ms);
        curl->easy_setopt(easy, CURLOPT_USERAGENT, "lockstep/" LOCKSTEP_VERSION);
        curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, curl_ignore_answer);
        curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
        curl->multi_add_handle(multi, easy);
        done = perform(wait, curl, multi, limit_ms, &code, err);
        curl->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_status);
        curl->multi_remove_handle(multi, easy);
    } else {
        error_set(err, ERROR_FAILED, "libcurl does not start");
    }
    curl->easy_cleanup(easy);
    curl->multi_cleanup(multi);
    if (done && code != CURLE_OK)
        return error_set(err, ERROR_UNREACHABLE, "'%s' does not answer: %s", url,
                         reason[0] ? reason : curl->easy_strerror(code));
    return done;
}

bool
http_is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

bool
http_ask(Wait *wait, const char *url, int64_t limit_ms, long *ret_status, Error *err)
{
    CurlApi curl;
    const char *reason = "it does not start";
    if (!curl_load(&curl, &reason) || curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERROR_USAGE, "'%s' cannot be asked: %s", url, reason);
    return ask(wait, &curl, url, limit_ms, ret_status, err);
}
