/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The image of a platform that pulls from a registry: what can be told of it from here, where it
 * need not be.
 */

#include "deploy/platform.h"

/* `repository[:tag]@sha256:...`: no tag can move under it. */
bool digest_is_in(const char *image);
/* REPOSITORY@DIGEST, whatever tag `image` has. */
char *digest_pin(Arena *arena, const char *image, Str digest);
/* The repository of a reference, as a registry is asked for it: without tag and digest, and without
 * the host and folder that the engine adds by itself. */
Str digest_repository(Str image);

/*
 * Fills d->image with its digest where it is given, or an engine of here pushed or pulled it, and
 * d->lockstep with `lockstep`, which the platform finds in the image's PATH. Fails only when
 * stopped.
 */
bool digest_look_here(Deploy *d, Error *err) MUST_CHECK;
