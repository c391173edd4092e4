/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The waiting half of run_connect, for callers that began connecting before. */

#include "run/run.h"

/* *db: a connection that db_connect_start began, or NULL. On failure it is closed and NULL.
 * check_files: before the first wait the files are scanned, and what they are refused for ends it.
 */
bool run_connect_finish(Arena *arena,
                        Wait *wait,
                        const RunOptions *options,
                        const DbOptions *how,
                        bool check_files,
                        Db **db,
                        Error *err) MUST_CHECK;
