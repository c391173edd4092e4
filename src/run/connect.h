/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The waiting half of run_connect, for callers that began connecting before. */

#include "run/run.h"

/* *db: a connection that db_connect_start began, or NULL. On failure it is closed and NULL. */
bool run_connect_finish(Arena *arena,
                        Wait *wait,
                        const RunOptions *options,
                        const DbOptions *how,
                        Db **db,
                        Error *err) MUST_CHECK;
