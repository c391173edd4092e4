/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who holds the lock of an app: written beside the lock, so that others can say whom they wait for,
 * and tell one who is gone.
 */

#include "deploy/platform.h"

typedef struct Holder {
    const char *id;   /* of the deploy */
    const char *host; /* lower case, digits and "-": what labels take everywhere */
    int64_t pid;      /* there */
    int64_t until;    /* seconds since 1970: no deploy of its settings takes longer */
} Holder;

Holder holder_here(const Deploy *d);
/* It ran on this machine and does not run any more, or its time is up. */
bool holder_is_gone(const Deploy *d, const Holder *holder);
char *holder_text(Arena *arena, const Holder *holder);

/*
 * Takes a lock by asking `take` every second: it says whether the lock is ours, and else whose it
 * is. `take_over` replaces exactly the lock that `take` saw last, or does nothing when that
 * changed. ERROR_LOCKED after --lock-wait, with `hint`.
 */
typedef struct HolderLock {
    bool (*take)(Deploy *d, void *ctx, bool *ret_taken, Holder *ret_other, Error *err);
    bool (*take_over)(Deploy *d, void *ctx, bool *ret_taken, Error *err);
    void *ctx;
    const char *hint;
} HolderLock;

bool holder_lock(Deploy *d, const HolderLock *lock, Error *err) MUST_CHECK;
/* A text made fit for names and labels: lower case letters, digits and "-", at most `most`. */
char *holder_slug(Arena *arena, const char *text, size_t most);
