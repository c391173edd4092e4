/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of this build: the one place that knows which engines were left out
 * (meson_options.txt). */

#include "db/driver.h"

#include "core/banned.h"

enum { LIST_CEILING = 64 };

static const char *const titles[] = {
    [DB_POSTGRES] = "PostgreSQL", [DB_MYSQL] = "MySQL", [DB_SQLITE] = "SQLite"};

static const DbDriver *const drivers[COUNT_OF(titles)] = {
#ifdef LOCKSTEP_POSTGRES
    [DB_POSTGRES] = &driver_postgres,
#endif
#ifdef LOCKSTEP_MYSQL
    [DB_MYSQL] = &driver_mysql,
#endif
#ifdef LOCKSTEP_SQLITE
    [DB_SQLITE] = &driver_sqlite,
#endif
};

const DbDriver *
db_driver(DbEngine engine)
{
    return (size_t)engine < COUNT_OF(drivers) ? drivers[engine] : NULL;
}

bool
db_supports(DbEngine engine, Error *err)
{
    if (db_driver(engine))
        return true;
    SCRATCH_ARENA(scratch);
    StrBuf list = strbuf_new(scratch, LIST_CEILING);
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (drivers[i])
            strbuf_printf(&list, "%s%s", list.n ? " and " : "", titles[i]);
    error_set(err, ERROR_USAGE, "this lockstep was built without %s", titles[engine]);
    return error_hint(err, "It has %s. Use one that was built with %s.", list.p, titles[engine]);
}

void
db_libraries(Arena *arena, LibraryVersions *list)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (drivers[i])
            *vec_push(arena, list) = drivers[i]->library(arena);
}
