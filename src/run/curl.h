/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * libcurl's functions. It is opened when it is first needed instead of being linked: it brings some
 * thirty libraries along, which would be mapped at every start of every container, nearly always
 * for nothing. A static build defines LOCKSTEP_LINKED_CURL and takes the same functions from the
 * archive.
 */

#include <curl/curl.h>

#include "core/base.h"

/* curl_easy_setopt is a type-checking macro in gcc: the parentheses name the function behind it. */
#define CURL_FUNCTIONS(X)                                                                          \
    X(global_init)                                                                                 \
    X(global_cleanup)                                                                              \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_strerror)                                                                               \
    X(easy_cleanup)                                                                                \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(multi_init)                                                                                  \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_perform)                                                                               \
    X(multi_socket_action)                                                                         \
    X(multi_info_read)                                                                             \
    X(multi_cleanup)

typedef struct CurlApi {
#define X(name) __typeof__((curl_##name)) *name;
    CURL_FUNCTIONS(X)
#undef X
} CurlApi;

/* For CURLOPT_WRITEFUNCTION: what is answered matters to nobody. */
size_t curl_ignore_answer(char *data, size_t size, size_t count, void *ctx);
/* False: *ret_reason says why there is none. */
bool curl_load(CurlApi *ret, const char **ret_reason) MUST_CHECK;
