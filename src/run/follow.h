/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Following: another process migrates; wait without holding anything in the database, tell the
 * person what is going on, take over when the leader is lost.
 */

#include "run/record.h"

typedef enum FollowEnd {
    FOLLOW_FREE,     /* nobody seems to lead any more: look at the outcome, then perhaps lead */
    FOLLOW_DEADLINE, /* --lock-wait passed; err is set (ERROR_LOCKED, names the leader) */
    FOLLOW_FAILED,   /* err is set */
} FollowEnd;

FollowEnd follow_leader(const RunOptions *options,
                        Db *db,
                        Lock *lock,
                        Str runs_schema,
                        int64_t deadline_ms,
                        Error *err) MUST_CHECK;
/* True, and err is its error: the run that ended while we waited (or had ended since our process
 * started) failed, and it was about the same files. */
bool follow_shares_failure(const RunLatest *latest,
                           Arena *arena,
                           const RunOptions *options,
                           const Source *source,
                           Error *err);
/* A replica that ended well after this process had started, with these same files, has done it. */
bool follow_shares_success(const RunLatest *latest,
                           Arena *arena,
                           const RunOptions *options,
                           const Source *source);
