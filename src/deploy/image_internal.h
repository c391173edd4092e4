/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of image inspection share. */

#include <jansson.h>

#include "deploy/image.h"
#include "deploy/image_tree.h"

enum { IMAGE_JSON_MAX = 4 << 20, IMAGE_KEPT_MAX = 64 << 20 };

static inline void
image_json_cleanup(json_t **root)
{
    json_decref(*root);
}
#define IMAGE_JSON CLEANUP(image_json_cleanup) json_t

/* Of the name of what holds it; ERROR_USAGE when it does not parse. */
bool image_parse(const char *name, Str text, json_t **ret, Error *err) MUST_CHECK;
char *image_json_text(Arena *arena, const json_t *object, const char *key); /* NULL = "" or none */
void image_json_words(Arena *arena, const json_t *list, Words *ret);
/* The object that the engine calls Config, an archive config. */
void image_take_config(Arena *arena, json_t *config, Image *image);

/* Names of directories: other people's code and what programs keep for themselves; the system's own
 * at the top. No migrations are looked for in either. */
bool image_is_foreign(Str name);
bool image_is_system(Str name);
Str image_search_path(const Image *image); /* its PATH */

/* Which texts are kept, and how much they come to. */
typedef struct Keeping {
    const Image *image; /* its configuration is known by then */
    size_t kept;
} Keeping;
bool image_keeps(const Keeping *keeping, const Entry *entry);
/* The text of the entry that came last, where it is one to keep; else absent. */
bool image_take_text(
    Tar *tar, Arena *arena, Keeping *keeping, const Entry *entry, Str *ret, Error *err) MUST_CHECK;

bool
image_from_engine(Arena *arena, const ImageOptions *options, Image *ret, Error *err) MUST_CHECK;
bool
image_from_archive(Arena *arena, const ImageOptions *options, Image *ret, Error *err) MUST_CHECK;
