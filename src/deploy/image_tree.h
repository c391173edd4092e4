/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The file system of an image, in memory: names, kinds, and the text of some files. Links lead
 * where they lead inside the image and never out of it, as "/" is its own; `..` ends there.
 */

#include "deploy/image_archive.h"

typedef struct ImageNode ImageNode;
struct ImageNode {
    const char *name; /* "" = the root */
    ImageNode *parent, *first, *next;
    EntryKind kind; /* never ENTRY_SAME */
    bool executable, gone;
    int64_t size;
    Str text;   /* of a file; absent = it was not kept */
    Str target; /* of a link */
};

typedef struct ImageTree ImageTree;

ImageTree *tree_new(Arena *arena);
/* A file as unpacking would put it there: it takes the place of what has its name, a directory
 * stands beside. ERROR_USAGE: it would leave the image, lies below what is no directory, or is a
 * hard link to nothing. */
bool
tree_add(ImageTree *tree, const char *archive, const Entry *entry, Str text, Error *err) MUST_CHECK;
/* The whiteouts of a layer: `.wh.NAME` takes NAME of the layers below away, `.wh..wh..opq` all that
 * its directory has from below. All of them come before the layer's files. Of other paths
 * tree_whiteout takes no notice. */
bool tree_is_whiteout(Str path);
void tree_whiteout(ImageTree *tree, Str path);
/* Follows all links; NULL = not there. `from` is for relative paths, NULL = the root. */
const ImageNode *tree_find(const ImageTree *tree, const ImageNode *from, Str path);
/* What a node is behind its links; NULL = it leads nowhere. */
const ImageNode *tree_behind(const ImageTree *tree, const ImageNode *node);
/* "/usr/bin/x" */
char *tree_path(Arena *arena, const ImageNode *node);
