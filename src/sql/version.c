/* SPDX-License-Identifier: Apache-2.0 */
/* Version of libpg_query: that of PostgreSQL whose grammar it holds. */

#include "sql/version.h"

#include <pg_query.h>

#include "core/banned.h"

void
sql_libraries(Arena *arena, LibraryVersions *list)
{
    *vec_push(arena, list) = (LibraryVersion){"libpg_query", PG_VERSION};
}
