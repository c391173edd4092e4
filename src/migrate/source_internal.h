/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of finding share: the state of one scan, and single entries. */

#include "core/hash.h"
#include "migrate/formats.h"

enum { TREE_DEPTH_MAX = 16 };

/* A file that belongs to a migration. */
typedef struct Found {
    NameKind kind;
    char *version, *name, *id;
    char *key;        /* NULL = as the format orders */
    char *path, *rel; /* rel: within the directory */
    char *conf_path;
} Found;
typedef VEC(Found) FoundList;

typedef struct Scan {
    Arena *arena, *scratch;
    const SourceOptions *options;
    char *dir;
    FsList entries;
    FormatId format;
    const char *highest_id; /* that the format can hold; NULL = any */
    FoundList found;
    size_t files;                   /* of migrations, downs too */
    char *provider, *provider_file; /* as in Source */
    Hasher *listed;                 /* all that was looked at */
    bool look;                      /* names are enough */
} Scan;

#define PRISMA_LOCK     "migration_lock.toml"
#define DRIZZLE_META    "meta"
#define DRIZZLE_JOURNAL "_journal.json"

/* Errors of the file system here are faults of the input: found before anything ran. */
bool scan_as_usage(bool ok, Error *err);
bool scan_link(const Scan *scan, const char *path, const FsEntry *entry, Error *err) MUST_CHECK;
bool scan_file(const Scan *scan, const char *path, const FsEntry *entry, Error *err) MUST_CHECK;
/* Lists, and notes what is there for the next start. */
bool scan_list(const Scan *scan, const char *dir, FsList *ret, Error *err) MUST_CHECK;
const FsEntry *scan_entry(const FsList *list, const char *name);

/* source_recognise.c. *ret_holds: there are migrations of a format that is read here. `guess`: the
 * directory was not named. */
bool
scan_recognise(const Scan *scan, bool guess, FormatId *ret, bool *ret_holds, Error *err) MUST_CHECK;
/* source_collect.c. Fills found and files; with `look`, files alone. */
bool scan_collect(Scan *scan, Error *err) MUST_CHECK;
