/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of OpenSSL, zlib and jansson. */

#include "core/version.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <zlib.h>

#include "core/banned.h"

void
core_libraries(Arena *arena, LibraryVersions *list)
{
    *vec_push(arena, list) = (LibraryVersion){"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)};
    *vec_push(arena, list) = (LibraryVersion){"zlib", zlibVersion()};
    *vec_push(arena, list) = (LibraryVersion){"jansson", jansson_version_str()};
}
