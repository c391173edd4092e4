/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A statement that cannot commit together with its record is in doubt when the process is lost
 * around it. Before it starts, what its object looks like is written down; afterwards a second
 * look tells whether it happened.
 */

#include "db/db.h"
#include "sql/split.h"

typedef enum DoubtVerdict {
    DOUBT_NOT_RUN, /* run it (again) */
    DOUBT_DONE,    /* it happened: go on behind it */
    DOUBT_UNKNOWN, /* a person must look */
} DoubtVerdict;

/* What the statement's object looks like now, as a short text: "absent", "valid", "invalid", a
 * hash, "repeatable" where running twice does no harm, "unknown" where there is no way to tell. */
bool doubt_look(Arena *arena, Db *db, Str body, const SqlStatement *statement, Str *ret, Error *err)
    MUST_CHECK;
/* Compares the look taken before with one taken now. */
bool doubt_settle(Arena *arena,
                  Db *db,
                  Str body,
                  const SqlStatement *statement,
                  Str before,
                  DoubtVerdict *ret,
                  Error *err) MUST_CHECK;
/* CREATE INDEX CONCURRENTLY that failed leaves an invalid index, which a second try (and IF NOT
 * EXISTS) would stumble over: drop it. */
bool doubt_drop_invalid_index(Arena *arena, Db *db, const SqlStatement *statement, Error *err)
    MUST_CHECK;
