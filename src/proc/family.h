/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Processes that left the child's group but not the family: setsid, daemons, job control. */

#include <sys/types.h>

#include "core/str.h"

typedef VEC(int) FamilyPids;

/* Whether /proc is there, and of our PID namespace: another one would name other processes. */
bool family_is_seen(void);
/* All that descend from this process, at this moment. */
FamilyPids family_pids(Arena *arena);

/* Signals each child of this process that is not in the group `pgid`. Descendants further down come
 * to us as their parents end. Silent where /proc is not there: the group alone is reached then. */
void family_signal_strays(pid_t pgid, int signo);
