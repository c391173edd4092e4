/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas: a chain of blocks, each handed out from its front. The only malloc of the program. */

#include "core/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/banned.h"

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1024 * 1024 };

typedef struct Block {
    struct Block *next;
    size_t size, used;
    alignas(max_align_t) char data[];
} Block;

struct Arena {
    Block *blocks; /* the newest first */
    size_t bytes;
    char *last; /* the latest piece: it can grow in place */
};

static NORETURN void
out_of_memory(void)
{
    static const char text[] = "lockstep: error: out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(1);
}

static Block *
add_block(Arena *arena, size_t least)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : FIRST_BLOCK;
    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    if (size < least)
        size = least;
    if (size > SIZE_MAX - sizeof(Block))
        out_of_memory();
    Block *block = malloc(sizeof *block + size);
    if (!block)
        out_of_memory();
    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    arena->bytes += sizeof *block + size;
    return block;
}

Arena *
arena_new(void)
{
    Arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        out_of_memory();
    return arena;
}

void
arena_free(Arena *arena)
{
    if (!arena)
        return;
    for (Block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

void
arena_cleanup(Arena **arena)
{
    arena_free(*arena);
    *arena = NULL;
}

static size_t
rounded(size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX - align)
        out_of_memory();
    return (size + align - 1) / align * align;
}

void *
arena_alloc(Arena *arena, size_t size)
{
    size_t need = rounded(size ? size : 1);
    Block *block = arena->blocks;
    if (!block || block->size - block->used < need)
        block = add_block(arena, need);
    char *p = block->data + block->used;
    block->used += need;
    arena->last = p;
    return memset(p, 0, need);
}

void *
arena_grow(Arena *arena, void *old, size_t old_size, size_t new_size)
{
    assert(new_size >= old_size);
    Block *block = arena->blocks;
    if (old && old == arena->last) {
        size_t start = (size_t)((char *)old - block->data), need = rounded(new_size);
        if (block->size - start >= need) {
            memset((char *)old + old_size, 0, need - old_size);
            block->used = start + need;
            return old;
        }
    }
    void *p = arena_alloc(arena, new_size);
    if (old_size)
        memcpy(p, old, old_size);
    return p;
}

size_t
arena_bytes(const Arena *arena)
{
    return arena->bytes;
}
