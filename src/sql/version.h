/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Version of libpg_query. */

#include "core/version.h"

void sql_libraries(Arena *arena, LibraryVersions *list);
