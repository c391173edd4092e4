/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A run around somebody else's migration tool. What its files and its version table tell is brought
 * into the shape of a plan, so that status, gate, followers and records are the same for all; the
 * tool itself is started by the leader, and believed only after its table says the same.
 */

#include "run/lead_internal.h"

/* Fills ledger, plan, tool, tool_files, unknown of `s`; facts are there already. */
bool wrapped_survey(
    Arena *arena, Db *db, const RunOptions *options, Str schema, Survey *s, Error *err) MUST_CHECK;
/* With the lock held, predecessors ended and the survey fresh: apply (or undo) and record. */
bool wrapped_lead(Lead *l, RunReport *ret, Error *err) MUST_CHECK;
