/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside this room: Drizzle's meta/_journal.json, which says which files are migrations, and in
 * which order. Shape as drizzle-orm 0.45 reads it (src/migrator.ts): {"dialect": "postgresql",
 * "entries": [{"when": 1700000000000, "tag": "0000_name", ...}, ...]}.
 */

#include "core/error.h"
#include "core/str.h"

typedef struct JournalEntry {
    char *tag; /* the file's name without .sql: one part of a path, not hidden */
    int64_t when;
} JournalEntry;

typedef struct Journal {
    char *dialect; /* NULL = not said */
    VEC(JournalEntry) entries;
} Journal;

/* ERROR_USAGE for what is no journal; `path` is for the message. */
bool journal_parse(Arena *arena, const char *path, Str text, Journal *ret, Error *err) MUST_CHECK;
