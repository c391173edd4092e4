/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of libpq, libmariadb and SQLite. */

#include "db/version.h"

#include <libpq-fe.h>
#include <mysql.h>
#include <sqlite3.h>

#include "core/banned.h"

void
db_libraries(Arena *arena, LibraryVersions *list)
{
    int pq = PQlibVersion(); /* 150018: two parts since PostgreSQL 10 */
    *vec_push(arena, list) =
        (LibraryVersion){"libpq", str_printf(arena, "%d.%d", pq / 10000, pq % 10000)};
    *vec_push(arena, list) = (LibraryVersion){"libmariadb", mysql_get_client_info()};
    *vec_push(arena, list) = (LibraryVersion){"sqlite", sqlite3_libversion()};
}
