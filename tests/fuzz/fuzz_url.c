/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Database URLs. What parses is shown without its password, and what is revealed for a child's
 * environment means the same database.
 */

#include "db/url.h"

#include <stdlib.h>
#include <string.h>

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool true_)
{
    if (!true_)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    DbUrl url = {0}, again = {0};

    if (!dburl_parse(arena, (Str){(const char *)data, size}, &url, &err)) {
        must(err.code != ERROR_NONE);
        return 0;
    }
    must(url.display != NULL);
    Error second = ERROR_INIT;
    must(dburl_parse(arena, str_of(dburl_reveal(arena, &url)), &again, &second));
    must(strcmp(url.display, again.display) == 0);
    must(secret_is_set(url.password) == secret_is_set(again.password));
    if (secret_is_set(url.password))
        must(strcmp(secret_reveal(url.password), secret_reveal(again.password)) == 0);
    return 0;
}
