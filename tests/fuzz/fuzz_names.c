/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File names and versions as hostile input: a name is parsed in every format; what is accepted must
 * give a version whose identity is stable. The rest of the input is looked through for markers.
 */

#include <assert.h>
#include <string.h>

#include "migrate/formats.h"

#include "core/banned.h"

enum { NAME_MAX_BYTES = 255 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
one_format(Arena *arena, FormatId id, Str name)
{
    NameParts parts = format_parse_name(id, name);
    switch (parts.kind) {
    case NAME_IGNORED:
        return;
    case NAME_BAD:
        assert(parts.problem && parts.hint);
        return;
    case NAME_REPEATABLE:
        assert(parts.description.n > 0);
        return;
    case NAME_UP:
    case NAME_DOWN:
        break;
    }
    assert(parts.version.n > 0 && parts.version.p >= name.p);
    assert(parts.version.p + parts.version.n <= name.p + name.n);
    char *version = format_version(arena, id, parts.version);
    char *identity = format_version_id(arena, id, version);
    char *again = format_version(arena, id, str_of(version));
    assert(strcmp(version, again) == 0);
    assert(strcmp(identity, format_version_id(arena, id, again)) == 0);
    if (id != FORMAT_PRISMA) /* any folder; and it knows no repeatables */
        assert(strcmp(identity, format_repeatable_id(arena, "")) < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCRATCH_ARENA(arena);
    Str text = {(const char *)data, size}, name = text;
    size_t offset;
    /* A directory entry: no NUL, no slash. */
    name.n = name.n > NAME_MAX_BYTES ? NAME_MAX_BYTES : name.n;
    name = str_sub(name, 0, str_find(name, '\0'));
    name = str_sub(name, 0, str_find(name, '/'));
    name = str_of(str_dup(arena, name));
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        one_format(arena, (FormatId)i, name);
    (void)format_is_flyway_name(name);
    if (format_marker(text, &offset) != FORMAT_COUNT)
        assert(offset < text.n);
    return 0;
}
