/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Deploy checks, for `check` and for --preflight. */

#include "cmd/cmd.h"

/* --preflight: false with ERROR_REFUSED where `check` finds an error; warnings go to the log. */
bool check_preflight(Cli *cli, Error *err) MUST_CHECK;
