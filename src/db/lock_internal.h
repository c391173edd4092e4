/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The file lock (lock_file.c) as lock.c uses it; included by src/db only. Meanings as in lock.h.
 * `database` is the path of the SQLite file; ":memory:" is always got and never looked at.
 */

#include "db/lock.h"

typedef struct FileLock FileLock;

/* `wait` paces the short retries of file_lock_try; may be NULL. `spec` is copied. */
FileLock *file_lock_new(Arena *arena, const char *database, const LockSpec *spec, Wait *wait);
bool file_lock_try(FileLock *lock, bool *ret_got, Error *err) MUST_CHECK;
bool file_lock_look(FileLock *lock, Arena *arena, LockView *ret, Error *err) MUST_CHECK;
/* `progress` NULL keeps the last one. Fails with ERROR_LOCKED when the lock is no longer ours. */
bool file_lock_beat(FileLock *lock, const char *progress, Error *err) MUST_CHECK;
/* Outcome "failed" leaves the file, with `error` (redacted already), for followers to read; any
 * other, or NULL, removes it. */
void file_lock_release(FileLock *lock, const char *outcome, const char *error);
