/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Copies of SQLite files by the library's backup API; servers have tools of their own for it. */

#include "core/error.h"
#include "core/wait.h"

/* `to` holds what `from` holds afterwards, as of one moment, while others read and write. An
 * existing `to` is replaced in one transaction: readers of it see the old or the new content. */
bool db_copy_file(Wait *wait, const char *from, const char *to, Error *err) MUST_CHECK;
/* The file begins as SQLite databases do. */
bool db_is_sqlite_file(const char *path);
