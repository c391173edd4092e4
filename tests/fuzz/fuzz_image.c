/* SPDX-License-Identifier: Apache-2.0 */
/* An image archive, and one layer alone: read to an image that can be asked, or refused. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "deploy/image.h"
#include "deploy/image_tree.h"

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
next_once(void *ctx, Str *ret, Error *err)
{
    Str *whole = ctx;
    (void)err;
    *ret = *whole;
    *whole = STR_ABSENT;
    return true;
}

static void
check_tree(Arena *arena, const ImageTree *tree, const ImageNode *dir, int depth)
{
    for (const ImageNode *node = dir->first; node && depth > 0; node = node->next) {
        if (node->gone)
            continue;
        if (node->parent != dir || strchr(node->name, '/') || strcmp(node->name, "..") == 0)
            abort();
        if (tree_path(arena, node)[0] != '/')
            abort();
        (void)tree_behind(tree, node);
        if (node->kind == ENTRY_DIR)
            check_tree(arena, tree, node, depth - 1);
    }
}

/* The whole input as one layer. */
static void
one_layer(Str data)
{
    SCRATCH_ARENA(arena);
    AUTO_TAR *tar = NULL;
    Error err = ERROR_INIT;
    ReadLimits limits = {0};
    ImageTree *tree = tree_new(arena);
    bool there = true, ok;
    ok = tar_open(arena, "layer", (Bytes){.next = next_once, .ctx = &data}, &limits, &tar, &err);
    while (ok && there) {
        Entry e;
        Str text = STR_ABSENT;
        ok = tar_next(tar, &there, &e, &err);
        if (!ok || !there)
            break;
        tree_whiteout(tree, e.path);
        ok = (e.kind != ENTRY_FILE || tar_read(tar, arena, 4096, &text, &err)) &&
             tree_add(tree, "layer", &e, text, &err);
    }
    if (!ok && err.message[0] == '\0')
        abort();
    check_tree(arena, tree, tree_find(tree, NULL, STR("/")), 64);
}

static void
whole_archive(Str data)
{
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    Wait wait = wait_init();
    char *environ_[] = {NULL};
    Image image;
    int fd = memfd_create("image.tar", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data.p, data.n) != (ssize_t)data.n)
        abort();
    ImageOptions options = {
        .wait = &wait, .environ_ = environ_, .name = str_printf(arena, "/proc/self/fd/%d", fd)};
    if (image_read(arena, &options, &image, &err)) {
        if (!image.id || !image.workdir || (image.lockstep && image.lockstep[0] != '/'))
            abort();
        (void)image_known_files(arena, &image);
        (void)image_text(&image, "package.json");
    } else if (err.code != ERROR_USAGE || err.message[0] == '\0') {
        abort();
    }
    close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str text = {(const char *)data, size};
    one_layer(text);
    whole_archive(text);
    return 0;
}
