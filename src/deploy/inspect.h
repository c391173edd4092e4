/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The image that is to be deployed: exactly which, and what in it migrates. */

#include "deploy/platform.h"

/* By the engine that has it: d->image becomes its digest where it has one, else its id; d->lockstep
 * and d->migrates say what was found. */
bool inspect_image(Deploy *d, Error *err) MUST_CHECK;
/* True when this very program is linked statically, so that it runs in any image. */
bool inspect_self_is_static(void);
