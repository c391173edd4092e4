/* SPDX-License-Identifier: Apache-2.0 */
/* Database files: told by how they begin, and copied by the driver of their engine. */

#include "db/backup.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "db/driver.h"
#include "core/banned.h"

bool
db_copy_file(Wait *wait, const char *from, const char *to, Error *err)
{
    return db_supports(DB_SQLITE, err) && db_driver(DB_SQLITE)->copy_file(wait, from, to, err);
}

bool
db_is_sqlite_file(const char *path)
{
    static const char magic[16] = "SQLite format 3";
    char begin[sizeof magic] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, begin, sizeof begin);
    close(fd);
    return n == (ssize_t)sizeof begin && memcmp(begin, magic, sizeof magic) == 0;
}
