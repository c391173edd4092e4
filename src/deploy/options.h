/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Options of `docker create`: as somebody wrote them, or read off a container that runs, so that
 * its successor works with the same configuration. What a container has from its image is not
 * repeated: the new image has its own.
 */

#include "deploy/order.h"
#include "deploy/values.h"

typedef struct EngineOptions {
    Words words;     /* NULL-terminated; values of variables are not in them */
    Words env;       /* NAME=VALUE */
    Words labels;    /* NAME=VALUE: a proxy's may hold its users' passwords */
    Words program;   /* arguments behind the image */
    Words networks;  /* to connect besides the first */
    bool binds_host; /* it takes ports of the host: no two at once */
} EngineOptions;

void options_of_words(Arena *arena, char *const *words, EngineOptions *ret);
/* `image` is the container's own, NULL = it is gone: then all of its configuration is repeated.
 * ERROR_USAGE where a container has what cannot be repeated, or what is secret and can be handed
 * to the engine among words only. */
bool options_of_container(Arena *arena,
                          const json_t *container,
                          const json_t *image,
                          EngineOptions *ret,
                          Error *err) MUST_CHECK;
/* Behind `create`: the words, each variable by its name, labels in a file in memory. */
bool options_hand(const Orders *orders, Order *order, const EngineOptions *options, Error *err)
    MUST_CHECK;
/* Variables of a container (or service) that it has not from its image: NAME=VALUE; their values
 * are secret from now on. */
void options_env(Arena *arena, const json_t *env, const json_t *of_image, Words *ret);
