/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes by (directory, name) in one hash table; what is taken away stays behind, marked as gone. */

#include "deploy/image_tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/banned.h"

enum { LINKS_MAX = 40, SLOTS_FIRST = 1024 };

struct ImageTree {
    Arena *arena;
    ImageNode root;
    ImageNode **slots; /* linear probing; a power of two, never more than half full */
    size_t n, size, made;
    uint64_t seed; /* an archive cannot be made to collide */
};

ImageTree *
tree_new(Arena *arena)
{
    ImageTree *t = arena_make(arena, ImageTree);
    *t = (ImageTree){.arena = arena,
                     .root = {.name = "", .kind = ENTRY_DIR},
                     .slots = arena_array(arena, ImageNode *, SLOTS_FIRST),
                     .size = SLOTS_FIRST};
    if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != (ssize_t)sizeof t->seed)
        t->seed = (uint64_t)(uintptr_t)t;
    return t;
}

static size_t
place_of(const ImageTree *t, const ImageNode *dir, Str name)
{
    uint64_t h = t->seed ^ (uint64_t)(uintptr_t)dir * 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < name.n; i++) {
        h = (h ^ (unsigned char)name.p[i]) * 0x100000001B3u;
        h ^= h >> 29;
    }
    return (size_t)(h ^ h >> 32);
}

static ImageNode **
slot_of(const ImageTree *t, const ImageNode *dir, Str name)
{
    size_t i = place_of(t, dir, name) & (t->size - 1);
    while (t->slots[i] && !(t->slots[i]->parent == dir && str_eq(str_of(t->slots[i]->name), name)))
        i = (i + 1) & (t->size - 1);
    return &t->slots[i];
}

static void
widen(ImageTree *t)
{
    ImageNode **old = t->slots;
    size_t old_size = t->size;
    t->size *= 2;
    t->slots = arena_array(t->arena, ImageNode *, t->size);
    for (size_t i = 0; i < old_size; i++)
        if (old[i])
            *slot_of(t, old[i]->parent, str_of(old[i]->name)) = old[i];
}

static ImageNode *
child_of(const ImageTree *t, const ImageNode *dir, Str name)
{
    ImageNode *node = *slot_of(t, dir, name);
    return node && !node->gone ? node : NULL;
}

/* A new one in the place of what has that name. */
static ImageNode *
put(ImageTree *t, ImageNode *dir, Str name, EntryKind kind)
{
    ImageNode **slot = slot_of(t, dir, name);
    ImageNode *node = arena_make(t->arena, ImageNode);
    *node = (ImageNode){
        .name = str_dup(t->arena, name), .parent = dir, .next = dir->first, .kind = kind};
    if (*slot)
        (*slot)->gone = true;
    else
        t->n++;
    *slot = node;
    dir->first = node;
    t->made++;
    if (t->n > t->size / 2)
        widen(t);
    return node;
}

/* ---- paths ---- */

static bool
next_part(Str *rest, Str *ret)
{
    while (rest->n && rest->p[0] == '/')
        *rest = str_sub(*rest, 1, rest->n);
    size_t end = str_find(*rest, '/');
    *ret = str_sub(*rest, 0, end);
    *rest = str_sub(*rest, end, rest->n);
    return ret->n > 0;
}

static bool
is_last(Str rest)
{
    Str part;
    return !next_part(&rest, &part);
}

/* One walk: directories are made where `make`, the last part's link is left alone where `!follow`.
 * NULL: not there, no directory on the way, or links without an end. */
typedef struct Walk {
    ImageTree *tree;
    bool make, follow;
    int links;
} Walk;

static ImageNode *
walk(Walk *w, ImageNode *from, Str path)
{
    ImageNode *at = path.n && path.p[0] == '/' ? &w->tree->root : from;
    for (Str part; next_part(&path, &part);) {
        if (at->kind != ENTRY_DIR)
            return NULL;
        if (str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            at = at->parent ? at->parent : at;
            continue;
        }
        ImageNode *node = child_of(w->tree, at, part);
        if (!node && !w->make)
            return NULL;
        if (!node)
            node = put(w->tree, at, part, ENTRY_DIR);
        if (node->kind == ENTRY_LINK && (w->follow || !is_last(path))) {
            if (++w->links > LINKS_MAX)
                return NULL;
            Walk behind = {w->tree, w->make, true, w->links};
            node = walk(&behind, at, node->target);
            w->links = behind.links;
        }
        if (!node)
            return NULL;
        at = node;
    }
    return at;
}

const ImageNode *
tree_find(const ImageTree *tree, const ImageNode *from, Str path)
{
    /* Without `make` nothing is changed. */
    ImageTree *t = (ImageTree *)(uintptr_t)tree;
    ImageNode *start = from ? (ImageNode *)(uintptr_t)from : &t->root;
    return walk(&(Walk){.tree = t, .follow = true}, start, path);
}

const ImageNode *
tree_behind(const ImageTree *tree, const ImageNode *node)
{
    return node->kind == ENTRY_LINK ? tree_find(tree, node->parent, node->target) : node;
}

char *
tree_path(Arena *arena, const ImageNode *node)
{
    VEC(const ImageNode *) up = {0};
    StrBuf out = strbuf_new(arena, SIZE_MAX);
    for (; node->parent; node = node->parent)
        *vec_push(arena, &up) = node;
    for (size_t i = up.n; i-- > 0;) {
        strbuf_addc(&out, '/');
        strbuf_puts(&out, up.p[i]->name);
    }
    return up.n ? out.p : str_dup(arena, STR("/"));
}

/* ---- a layer's entries ---- */

/* "a/b/c" into "a/b" and "c"; false: there is no name (the root itself). */
static bool
split_path(Str path, Str *ret_dir, Str *ret_name)
{
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    size_t at = path.n;
    while (at > 0 && path.p[at - 1] != '/')
        at--;
    *ret_dir = str_sub(path, 0, at);
    *ret_name = str_sub(path, at, path.n);
    return ret_name->n > 0 && !str_eq(*ret_name, STR("."));
}

static bool
climbs(Str path)
{
    for (Str part; next_part(&path, &part);)
        if (str_eq(part, STR("..")))
            return true;
    return false;
}

/* What a hard link names; NULL with err set: nothing. */
static const ImageNode *
same_as(ImageTree *t, const char *archive, const Entry *e, Error *err)
{
    const ImageNode *node = climbs(e->link) ? NULL : walk(&(Walk){.tree = t}, &t->root, e->link);
    if (node && node->kind != ENTRY_DIR)
        return node;
    error_set(err, ERROR_USAGE,
              "'%s' holds a hard link '" STR_FMT "' to '" STR_FMT
              "', which is no file of the image",
              archive, STR_ARG(e->path), STR_ARG(e->link));
    return NULL;
}

bool
tree_add(ImageTree *t, const char *archive, const Entry *e, Str text, Error *err)
{
    Str dir_path, name;
    const ImageNode *same = NULL;
    if (climbs(e->path))
        return error_set(err, ERROR_USAGE, "'%s' holds '" STR_FMT "', which leaves the image",
                         archive, STR_ARG(e->path));
    if (!split_path(e->path, &dir_path, &name))
        return true;
    ImageNode *dir = walk(&(Walk){.tree = t, .make = true, .follow = true}, &t->root, dir_path);
    if (!dir || dir->kind != ENTRY_DIR)
        return error_set(err, ERROR_USAGE,
                         "'%s' holds '" STR_FMT "', which lies in what is no directory", archive,
                         STR_ARG(e->path));
    if (t->made > 2 * IMAGE_ENTRIES_MAX)
        return error_set(err, ERROR_USAGE, "'%s' holds more than %d directories", archive,
                         IMAGE_ENTRIES_MAX);
    if (e->kind == ENTRY_SAME && !(same = same_as(t, archive, e, err)))
        return false;
    const ImageNode *there = child_of(t, dir, name);
    if (e->kind == ENTRY_DIR && there && there->kind == ENTRY_DIR)
        return true;
    ImageNode *node = put(t, dir, name, same ? same->kind : e->kind);
    node->executable = same ? same->executable : e->executable;
    node->size = same ? same->size : e->size;
    node->text = same ? same->text : text;
    if (same)
        node->target = same->target;
    else if (e->kind == ENTRY_LINK)
        node->target = str_copy(t->arena, e->link.p ? e->link : STR(""));
    return true;
}

bool
tree_is_whiteout(Str path)
{
    Str dir, name;
    return split_path(path, &dir, &name) && str_starts(name, STR(".wh."));
}

void
tree_whiteout(ImageTree *t, Str path)
{
    Str dir_path, name;
    if (!tree_is_whiteout(path) || climbs(path) || !split_path(path, &dir_path, &name))
        return;
    ImageNode *dir = walk(&(Walk){.tree = t, .follow = true}, &t->root, dir_path);
    if (!dir || dir->kind != ENTRY_DIR)
        return;
    if (str_eq(name, STR(".wh..wh..opq"))) {
        for (ImageNode *node = dir->first; node; node = node->next)
            node->gone = true;
        dir->first = NULL;
        return;
    }
    ImageNode *node = child_of(t, dir, str_sub(name, 4, name.n));
    if (node)
        node->gone = true;
}
