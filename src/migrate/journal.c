/* SPDX-License-Identifier: Apache-2.0 */
/* Reading Drizzle's journal, a file of strangers: anything else than expected is refused by place.
 */

#include "migrate/journal.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "core/banned.h"

enum { ENTRIES_MAX = 100000 };

static bool
refuse(const char *path, Error *err, const char *what, size_t entry)
{
    error_set(err, ERROR_USAGE, "'%s': entry %zu %s", path, entry + 1, what);
    return error_hint(err, "The file is drizzle-kit's: restore it, or let drizzle-kit make it "
                           "anew.");
}

/* The tag becomes a file name: it may not lead anywhere else. */
static bool
is_tag(const char *tag)
{
    return tag && tag[0] && tag[0] != '.' && !strchr(tag, '/') && strlen(tag) < 250;
}

static bool
read_entry(
    Arena *arena, const char *path, const json_t *item, size_t i, JournalEntry *ret, Error *err)
{
    const char *tag = json_string_value(json_object_get(item, "tag"));
    const json_t *when = json_object_get(item, "when");
    if (!is_tag(tag))
        return refuse(path, err, "has no \"tag\" that could name a file", i);
    if (!json_is_integer(when) || json_integer_value(when) < 0)
        return refuse(path, err, "has no \"when\" (a whole number of milliseconds)", i);
    *ret = (JournalEntry){.tag = str_dup(arena, str_of(tag)), .when = json_integer_value(when)};
    return true;
}

bool
journal_parse(Arena *arena, const char *path, Str text, Journal *ret, Error *err)
{
    Journal journal = {0};
    json_error_t where;
    json_auto_t *root = json_loadb(text.p ? text.p : "", text.n, 0, &where);
    const json_t *entries = json_object_get(root, "entries");
    if (!root) {
        error_set(err, ERROR_USAGE, "'%s' is not valid JSON: %s", path, where.text);
        error_at(err, path, where.line > 0 ? (size_t)where.line : 1,
                 where.column > 0 ? (size_t)where.column : 1);
        return error_hint(err, "A merge may have left its marks: join both sides' entries.");
    }
    if (!json_is_array(entries) || json_array_size(entries) > ENTRIES_MAX) {
        error_set(err, ERROR_USAGE, "'%s' has no list of \"entries\"", path);
        return error_hint(err, "The file is drizzle-kit's: restore it.");
    }
    for (size_t i = 0; i < json_array_size(entries); i++) {
        JournalEntry entry;
        if (!read_entry(arena, path, json_array_get(entries, i), i, &entry, err))
            return false;
        *vec_push(arena, &journal.entries) = entry;
    }
    const char *dialect = json_string_value(json_object_get(root, "dialect"));
    journal.dialect = str_dup(arena, str_of(dialect));
    *ret = journal;
    return true;
}
