/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tar archives as they come, plain or gzipped, by libarchive, whose only user image_archive.c is.
 * Nothing is ever unpacked onto the disk: whoever reads gets names, and the content of what it asks
 * for. All is hostile until it was looked at; what goes over a ceiling ends the reading with a
 * sentence (ERROR_USAGE), as does what is damaged or cut off.
 */

#include "core/error.h"
#include "core/str.h"
#include "core/wait.h"

enum {
    IMAGE_ENTRIES_MAX = 1000000, /* in all layers together */
    IMAGE_PATH_MAX = 4096,       /* bytes of a name in an archive */
    IMAGE_TEXT_MAX = 1 << 20,    /* a file that is kept */
    IMAGE_RATIO_MAX = 200,       /* ... a layer unpacks to no more than this many times its size */
};
#define IMAGE_BYTES_MAX  ((int64_t)32 << 30) /* unpacked, in all layers together */
#define IMAGE_RATIO_FROM ((int64_t)1 << 30)  /* from this size on ... */

/* What all archives of one image may take together. */
typedef struct ReadLimits {
    Wait *wait;          /* signals end the reading; NULL = none */
    int64_t deadline_ms; /* in clock_ms() time; 0 = none */
    int64_t bytes;
    size_t entries;
} ReadLimits;

/* Where an archive's bytes come from. */
typedef struct Bytes {
    /* The next piece, valid until the next call; empty = the end. */
    bool (*next)(void *ctx, Str *ret, Error *err);
    int64_t (*skip)(void *ctx, int64_t n); /* how many were skipped, at most n; may be NULL */
    void *ctx;
} Bytes;

typedef enum EntryKind {
    ENTRY_FILE,
    ENTRY_DIR,
    ENTRY_LINK,  /* symbolic */
    ENTRY_SAME,  /* a hard link: another name of what `link` names */
    ENTRY_OTHER, /* a device, a pipe, a socket */
} EntryKind;

typedef struct Entry {
    Str path; /* as it stands there; valid until the next tar_next */
    Str link; /* where a link leads */
    EntryKind kind;
    bool executable; /* by anybody */
    bool sparse;     /* it has holes */
    int64_t size;
} Entry;

typedef struct Tar Tar;
/* `name` is for errors. The Tar lives until tar_close, in `arena` and beside it. */
bool tar_open(Arena *arena, const char *name, Bytes from, ReadLimits *limits, Tar **ret, Error *err)
    MUST_CHECK;
void tar_close(Tar **tar); /* NULL is fine */
#define AUTO_TAR CLEANUP(tar_close) Tar
/* *ret_there false: the end. */
bool tar_next(Tar *tar, bool *ret_there, Entry *ret, Error *err) MUST_CHECK;
/* The content of the entry that came last, at most `ceiling` bytes of it. */
bool tar_read(Tar *tar, Arena *arena, size_t ceiling, Str *ret, Error *err) MUST_CHECK;
/* The same piece by piece: an archive in the archive. */
Bytes tar_content(Tar *tar);

/* A file of this machine as Bytes. */
bool bytes_of_file(Arena *arena, const char *path, Bytes *ret, Error *err) MUST_CHECK;
bool bytes_rewind(const Bytes *file, Error *err) MUST_CHECK;
void bytes_close_file(Bytes *file);
