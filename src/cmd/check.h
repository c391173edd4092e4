/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Deploy checks, for `check` and for --preflight. */

#include "cmd/cmd.h"

/* --image: `dirs` (NULL-terminated) are where the migrations lie, below the current directory.
 * False: the image cannot be read. */
bool
check_image(Cli *cli, const char *name, char *const *dirs, Findings *ret, Error *err) MUST_CHECK;
/* --preflight: false with ERROR_REFUSED where `check` finds an error; warnings go to the log. */
bool check_preflight(Cli *cli, Error *err) MUST_CHECK;
