/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Versions of the libraries in use, as they say it themselves at run time; a function a room. */

#include "core/str.h"

typedef struct LibraryVersion {
    const char *name, *version;
} LibraryVersion;
typedef VEC(LibraryVersion) LibraryVersions;

void core_libraries(Arena *arena, LibraryVersions *list);
