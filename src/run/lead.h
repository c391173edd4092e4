/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Leading: with the lock held, end what a lost leader left, look again, apply, record, release.
 */

#include "run/record.h"

/* `survey` is made again here where it was made before the lock, or others had to end first. The
 * lock is released on every path (a broken connection frees it by itself). */
bool lead_run(Arena *arena,
              Wait *wait,
              const RunOptions *options,
              Db *control,
              Lock *lock,
              const char *run_id,
              Survey *survey,
              RunReport *ret,
              Error *err) MUST_CHECK;
