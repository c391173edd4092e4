/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for pgtree.c in a build without PostgreSQL: a parser of major version 0 knows no server,
 * so that nobody asks it, and no library is listed. */

#include "sql/pgtree.h"

#include "sql/split.h"
#include "sql/version.h"
#include "core/banned.h"

int
sql_parser_major(void)
{
    return 0;
}

PgCheck
pgtree_check(Arena *scratch, Str statement)
{
    (void)scratch, (void)statement;
    return (PgCheck){.statements = 1};
}

void
sql_libraries(Arena *arena, LibraryVersions *list)
{
    (void)arena, (void)list;
}
