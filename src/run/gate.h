/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The gate: is there nothing to do? One query: the last success recorded a fingerprint of the files
 * (names, sizes, times) and of the version table; if both are as they were, nothing is pending and
 * nothing was changed. Any doubt (no table, another shape, an error) opens the gate for the run.
 */

#include "run/run.h"

/* *ret_closed: nothing to do. Only a lost connection is an error. */
bool gate_is_closed(Arena *arena,
                    Db *db,
                    const RunOptions *options,
                    const Source *source,
                    bool *ret_closed,
                    Error *err) MUST_CHECK;
/* After the long way found nothing to do: remember the new fingerprint for the next start. Best
 * effort: a role that may not write, or a missing table, is no error. False when no success was
 * there to be brought up to date. */
bool
gate_remember(Arena *arena, Db *db, const RunOptions *options, const Source *source, Str schema);
/* The role may write into the table of runs, which is there. */
bool gate_may_record(Db *db, Str schema);
