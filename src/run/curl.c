/* SPDX-License-Identifier: Apache-2.0 */
/* Linked, or opened. */

#include "run/curl.h"

#include <dlfcn.h>
#include <stddef.h>

#include "core/banned.h"

bool
curl_load(CurlApi *ret, const char **ret_reason)
{
#ifdef LOCKSTEP_LINKED_CURL
#define X(name) ret->name = (curl_##name);
    CURL_FUNCTIONS(X)
#undef X
    (void)ret_reason;
    return true;
#else
    /* Never closed: libcurl's own libraries register exit handlers. */
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        *ret_reason = "libcurl.so.4 is not installed";
        return false;
    }
    bool whole = true;
#define X(name)                                                                                    \
    *(void **)&ret->name = dlsym(library, "curl_" #name);                                          \
    whole = whole && ret->name != NULL;
    CURL_FUNCTIONS(X)
#undef X
    *ret_reason = "libcurl.so.4 is too old";
    return whole;
#endif
}

size_t
curl_ignore_answer(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}
