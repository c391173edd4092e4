/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Named fault points for the crash matrix. With the build option `faults` a spec such as
 * "migration.before-commit:3:kill" kills (`kill`), stops (`stop`, SIGSTOP), ends (`error`) the
 * process at the third passing of that point; `list` prints each point passed to stderr. Without
 * the option FAULT_POINT compiles to nothing.
 */

#include "core/base.h"

#ifdef LOCKSTEP_FAULTS
void fault_setup(const char *spec); /* NULL or "" = none; several separated by commas */
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif
