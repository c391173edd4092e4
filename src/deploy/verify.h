/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whether what was released is well: by what the deploy was told to ask, by the container's own
 * HEALTHCHECK, or, where there is neither, by staying up. */

#include "deploy/platform.h"
#include "deploy/values.h"

typedef enum ServiceState { SERVICE_BAD, SERVICE_STARTING, SERVICE_GOOD } ServiceState;

enum { SERVICE_UPTIME_MS = 10000 }; /* that long without a check counts as well */

/* From `docker inspect`: GOOD only where its own check says so, or it has none and has been up for
 * SERVICE_UPTIME_MS. BAD = it ended, was started again, or is unhealthy. */
ServiceState verify_state(const json_t *container);
/* Milliseconds since an RFC 3339 time of the engine, by this machine's clock; 0 where it is none.
 */
int64_t verify_since_ms(Str started);
/*
 * Until the container is well; ERROR_FAILED with what it printed last. `deploy: health:` a URL:
 * asked from here. A path: asked from within the container by its own lockstep where it has one
 * (http://127.0.0.1:PORT, PORT the first that the image exposes, 80 where it exposes none), else at
 * its first port on this machine.
 */
bool verify_container(Deploy *d, const char *name, Error *err) MUST_CHECK;
/* The same by the container's own check alone: a worker, which answers nobody. */
bool verify_alone(Deploy *d, const char *name, Error *err) MUST_CHECK;
/* Asked once, of a release that an earlier deploy left: well = GOOD, and it answers. */
bool verify_now(Deploy *d, const char *name, bool alone, bool *ret_well, Error *err) MUST_CHECK;
/* `deploy: health:` is a URL: asked from here until it answers 200 to 399; else true at once. */
bool verify_url(Deploy *d, Error *err) MUST_CHECK;
/* The same, of a URL that the platform knows. */
bool verify_answers(Deploy *d, const char *url, Error *err) MUST_CHECK;
