/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Arenas: memory that lives and dies together. The only file that calls malloc. Functions that
 * return memory take the arena as their first parameter; nothing is freed one by one. Running out
 * of memory ends the process with a fixed message and exit status 1.
 */

#include "core/base.h"

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *arena);                /* NULL is fine */
void *arena_alloc(Arena *arena, size_t size); /* zeroed, aligned for any type */
void *arena_grow(Arena *arena, void *old, size_t old_size, size_t new_size);
void arena_cleanup(Arena **arena);
size_t arena_bytes(const Arena *arena); /* what it holds from the system */

/* A scratch arena that ends with the block. */
#define SCRATCH_ARENA(name)             CLEANUP(arena_cleanup) Arena *name = arena_new()
#define arena_make(arena, type)         ((type *)arena_alloc((arena), sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (count)))
