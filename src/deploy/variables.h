/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Variables of a migration's container, on platforms whose containers are described in JSON. */

#include "deploy/job.h"
#include "deploy/values.h"

/* Whether the job has variables beside lockstep's own, which are no secret. */
bool variables_are_handed(const Job *job);
/* {NAME: value} of those. The caller owns it. */
json_t *variables_values(const Job *job);
/* The service's list of {name, value}, and behind it the job's; of two with one name the job's
 * alone. Values that were handed over refer to the Secret of this name; NULL = they stand in the
 * list. The caller owns it. */
json_t *variables_merge(const Job *job, const json_t *service, const char *secret);
/* The same job with `***` for values that were handed over: what may be shown of it. */
Job variables_hidden(Arena *arena, const Job *job);
