/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files, with ceilings: bounded reads, sorted listings, atomic writes. Errors name the path. */

#include "core/error.h"
#include "core/str.h"

typedef enum FsKind { FS_ABSENT, FS_FILE, FS_DIR, FS_LINK, FS_OTHER } FsKind;

typedef struct FsEntry {
    char *name;             /* within the directory */
    FsKind kind;            /* of the entry itself: FS_LINK is not followed */
    FsKind target_kind;     /* what it is after following links; FS_ABSENT = dangling */
    int64_t size, mtime_ns; /* of the target */
} FsEntry;

typedef VEC(FsEntry) FsList;

FsKind fs_kind(const char *path); /* follows links */
/* The same, with ERROR_USAGE where it cannot be told what is there: a directory on the way may not
 * be looked into. */
bool fs_look(const char *path, FsKind *ret, Error *err) MUST_CHECK;
/* Whole file; more than `ceiling` bytes is an error. The text is NUL-terminated beyond its end. */
bool fs_read(Arena *arena, const char *path, size_t ceiling, Str *ret, Error *err) MUST_CHECK;
/* All entries but . and .., sorted by name in byte order. */
bool fs_list(Arena *arena, const char *dir, FsList *ret, Error *err) MUST_CHECK;
/* The same with no more than the names: what stands behind each is not asked. */
bool fs_list_names(Arena *arena, const char *dir, FsList *ret, Error *err) MUST_CHECK;
/* Temporary file beside it, fsync, rename, fsync of the directory. */
bool fs_write_atomic(const char *path, Str data, unsigned mode, Error *err) MUST_CHECK;
/* In one write at its end; the file is made where it is not there. */
bool fs_append(const char *path, Str data, Error *err) MUST_CHECK;
/* A file that is nowhere on disk and gone with the process; its path is of /proc. */
bool
fs_memory_file(Arena *arena, const char *name, Str data, char **ret_path, Error *err) MUST_CHECK;
bool fs_make_dirs(const char *path, Error *err) MUST_CHECK;
char *fs_join(Arena *arena, const char *dir, const char *name);
/* True when `path`, links followed, lies in `dir` (links followed). */
bool fs_is_inside(const char *dir, const char *path);
