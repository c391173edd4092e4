/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Versions of libpq, libmariadb and SQLite. */

#include "core/version.h"

void db_libraries(Arena *arena, LibraryVersions *list);
