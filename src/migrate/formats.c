/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats: one row each, and what a file's name says in each of them. Names follow the original
 * tools with one difference: a file that looks like a migration but has no version is refused by
 * name, where the originals skip it in silence.
 */

#include "migrate/formats.h"

#include <assert.h>
#include <string.h>

#include "core/banned.h"

#define HINT_RENAME    "Rename it to VERSION_name.sql, or move it out of the directory."
#define INT64_MAX_TEXT "9223372036854775807"
#define INT32_MAX_TEXT "2147483647"

/* ---- pieces of names ---- */

static size_t
leading_digits(Str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

static NameParts
bad(const char *problem, const char *hint)
{
    return (NameParts){.kind = NAME_BAD, .problem = problem, .hint = hint};
}

/* Removes the ending when it is there. */
static bool
strip_end(Str *s, Str end)
{
    if (!str_ends(*s, end))
        return false;
    s->n -= end.n;
    return true;
}

static NameParts
no_version(void)
{
    return bad("has no version but looks like a migration", HINT_RENAME);
}

static Str
strip_zeros(Str digits)
{
    while (digits.n > 1 && digits.p[0] == '0')
        digits = str_sub(digits, 1, digits.n);
    return digits;
}

/* ---- a name, format by format ---- */

static NameParts
plain_parse(Str name)
{
    Str stem = name;
    if (!strip_end(&stem, STR(".sql")))
        return (NameParts){.kind = NAME_IGNORED};
    NameParts parts = {.kind = strip_end(&stem, STR(".down")) ? NAME_DOWN : NAME_UP};
    if (parts.kind == NAME_UP)
        strip_end(&stem, STR(".up"));
    size_t n = leading_digits(stem);
    if (n == 0)
        return no_version();
    parts.version = str_sub(stem, 0, n);
    parts.description = str_sub(stem, n, stem.n);
    if (parts.description.n == 0)
        return parts;
    char c = parts.description.p[0];
    if (c != '_' && c != '-' && c != '.') {
        NameParts no_gap = bad("has no '_' between version and name", HINT_RENAME);
        no_gap.version = parts.version;
        return no_gap;
    }
    parts.description = str_sub(stem, n + 1, stem.n);
    return parts;
}

static NameParts
dbmate_parse(Str name)
{
    Str stem = name;
    if (!strip_end(&stem, STR(".sql")))
        return (NameParts){.kind = NAME_IGNORED};
    size_t n = leading_digits(stem);
    if (n == 0)
        return no_version();
    NameParts parts = {.kind = NAME_UP, .version = str_sub(stem, 0, n)};
    if (n < stem.n && strchr("_-.", stem.p[n]))
        n++;
    parts.description = str_sub(stem, n, stem.n);
    return parts;
}

static NameParts
golang_parse(Str name)
{
    Str stem = name;
    if (!strip_end(&stem, STR(".sql")))
        return (NameParts){.kind = NAME_IGNORED};
    NameParts parts = {.kind = NAME_UP};
    if (strip_end(&stem, STR(".down")))
        parts.kind = NAME_DOWN;
    else if (!strip_end(&stem, STR(".up")))
        return bad("ends neither in .up.sql nor in .down.sql",
                   "In a directory of golang-migrate name it VERSION_name.up.sql, or move it out.");
    size_t n = leading_digits(stem);
    if (n == 0)
        return no_version();
    if (n == stem.n || stem.p[n] != '_')
        return bad("has no '_' after its version, so that golang-migrate would skip it",
                   "Rename it to VERSION_name.up.sql, or move it out of the directory.");
    parts.version = str_sub(stem, 0, n);
    parts.description = str_sub(stem, n + 1, stem.n);
    return parts;
}

static NameParts
goose_parse(Str name)
{
    Str stem = name;
    bool go = strip_end(&stem, STR(".go"));
    if (!go && !strip_end(&stem, STR(".sql")))
        return (NameParts){.kind = NAME_IGNORED};
    size_t n = leading_digits(stem);
    bool versioned = n > 0 && n < stem.n && stem.p[n] == '_';
    if (go) {
        if (!versioned || str_ends(stem, STR("_test")))
            return (NameParts){.kind = NAME_IGNORED};
        return bad("is a migration written in Go, which only its own program can run",
                   "Let that program migrate (--tool, --command), or rewrite it in SQL.");
    }
    if (!versioned)
        return no_version();
    NameParts parts = {.kind = NAME_UP, .version = str_sub(stem, 0, n)};
    if (str_eq(strip_zeros(parts.version), STR("0")))
        return bad("has version 0, and goose begins at 1", "Give it a version above 0.");
    parts.description = str_sub(stem, n + 1, stem.n);
    return parts;
}

static NameParts
sqlx_parse(Str name)
{
    Str stem = name;
    if (!strip_end(&stem, STR(".sql")))
        return (NameParts){.kind = NAME_IGNORED};
    NameParts parts = {.kind = strip_end(&stem, STR(".down")) ? NAME_DOWN : NAME_UP};
    if (parts.kind == NAME_UP)
        strip_end(&stem, STR(".up"));
    size_t n = leading_digits(stem);
    if (n == 0)
        return no_version();
    if (n == stem.n || stem.p[n] != '_')
        return bad("has no '_' after its version", HINT_RENAME);
    parts.version = str_sub(stem, 0, n);
    parts.description = str_sub(stem, n + 1, stem.n);
    return parts;
}

static NameParts
tern_parse(Str name)
{
    Str stem = name;
    if (!strip_end(&stem, STR(".sql")))
        return (NameParts){.kind = NAME_IGNORED};
    size_t n = leading_digits(stem);
    if (n == 0)
        return no_version();
    if (n + 1 >= stem.n || stem.p[n] != '_')
        return bad("has no '_name' after its version", "Rename it to NNN_name.sql.");
    return (NameParts){.kind = NAME_UP,
                       .version = str_sub(stem, 0, n),
                       .description = str_sub(stem, n + 1, stem.n)};
}

/* Folders. Diesel takes any text before the first '_' for a version; a number is asked for here. */
static NameParts
diesel_parse(Str name)
{
    if (leading_digits(name) == 0)
        return bad("has no version but holds a migration",
                   "Rename the folder to VERSION_name, or move it out of the directory.");
    size_t under = str_find(name, '_');
    return (NameParts){.kind = NAME_UP,
                       .version = str_sub(name, 0, under),
                       .description = str_sub(name, under + 1, name.n)};
}

/* Folders, of any name: the whole name is what Prisma's table keeps. */
static NameParts
prisma_parse(Str name)
{
    size_t n = leading_digits(name);
    bool stamped = n > 0 && n + 1 < name.n && name.p[n] == '_';
    return (NameParts){.kind = NAME_UP,
                       .version = name,
                       .description = stamped ? str_sub(name, n + 1, name.n) : name};
}

/* Any file of SQL; the journal says which of them count, and in which order. */
static NameParts
drizzle_parse(Str name)
{
    if (!strip_end(&name, STR(".sql")))
        return (NameParts){.kind = NAME_IGNORED};
    return (NameParts){.kind = NAME_UP, .version = name, .description = name};
}

/* ---- the table ---- */

#define NEW_PLAIN "-- What this migration does.\n"
#define NEW_DOWN  "-- What undoes it.\n"

static const Format formats[FORMAT_COUNT] = {
    [FORMAT_PLAIN] = {.name = "plain",
                      .files = "VERSION_name.sql",
                      .as_written = true,
                      .parse = plain_parse,
                      .sections = plain_sections,
                      .new_up = NEW_PLAIN,
                      .new_down = NEW_DOWN},
    [FORMAT_DBMATE] = {.name = "dbmate",
                       .files = "VERSION_name.sql with '-- migrate:up'",
                       .rule = VERSION_TEXT,
                       .file_order = true,
                       .parse = dbmate_parse,
                       .sections = dbmate_sections,
                       .new_up = "-- migrate:up\n\n\n-- migrate:down\n\n"},
    [FORMAT_GOLANG_MIGRATE] = {.name = "golang-migrate",
                               .files = "VERSION_name.up.sql",
                               .max_version = INT64_MAX_TEXT,
                               .lone_down = true,
                               .parse = golang_parse,
                               .new_up = NEW_PLAIN,
                               .new_down = NEW_DOWN},
    [FORMAT_GOOSE] = {.name = "goose",
                      .files = "VERSION_name.sql with '-- +goose Up'",
                      .max_version = INT64_MAX_TEXT,
                      .parse = goose_parse,
                      .sections = goose_sections,
                      .new_up = "-- +goose Up\n\n\n-- +goose Down\n\n"},
    [FORMAT_FLYWAY] = {.name = "flyway",
                       .files = "V1.2__name.sql, R__name.sql",
                       .layout = LAYOUT_TREE,
                       .rule = VERSION_DOTTED,
                       .parse = flyway_parse_name,
                       .sections = flyway_sections,
                       .new_up = NEW_PLAIN},
    [FORMAT_DIESEL] = {.name = "diesel",
                       .files = "VERSION_name/up.sql",
                       .layout = LAYOUT_DIRS,
                       .up_file = "up.sql",
                       .down_file = "down.sql",
                       .conf_file = "metadata.toml",
                       .rule = VERSION_TEXT,
                       .parse = diesel_parse,
                       .sections = diesel_sections,
                       .new_up = NEW_PLAIN,
                       .new_down = NEW_DOWN},
    [FORMAT_SQLX] = {.name = "sqlx",
                     .files = "VERSION_name.sql",
                     .max_version = INT64_MAX_TEXT,
                     .parse = sqlx_parse,
                     .sections = sqlx_sections,
                     .new_up = NEW_PLAIN,
                     .new_down = NEW_DOWN},
    [FORMAT_TERN] = {.name = "tern",
                     .files = "NNN_name.sql",
                     .max_version = INT32_MAX_TEXT,
                     .parse = tern_parse,
                     .sections = tern_sections,
                     .new_up = "-- What this migration does.\n\n"
                               "---- create above / drop below ----\n\n-- What undoes it.\n"},
    [FORMAT_PRISMA] = {.name = "prisma",
                       .files = "VERSION_name/migration.sql",
                       .layout = LAYOUT_DIRS,
                       .up_file = "migration.sql",
                       .rule = VERSION_TEXT,
                       .parse = prisma_parse,
                       .sections = provider_sections,
                       .new_up = NEW_PLAIN},
    /* Versions are the journal's `when`; new migrations come from drizzle-kit with a snapshot. */
    [FORMAT_DRIZZLE] = {.name = "drizzle",
                        .files = "TAG.sql with meta/_journal.json",
                        .layout = LAYOUT_JOURNAL,
                        .max_version = INT64_MAX_TEXT,
                        .parse = drizzle_parse,
                        .sections = provider_sections},
};

const Format *
format_row(FormatId id)
{
    assert(id < FORMAT_COUNT);
    return &formats[id];
}

const char *
format_name(FormatId id)
{
    return format_row(id)->name;
}

bool
format_by_name(const char *name, FormatId *ret)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *ret = (FormatId)i;
            return true;
        }
    }
    return false;
}

const char *const *
format_names(void)
{
    static const char *const names[] = {"plain",  "dbmate", "golang-migrate", "goose",  "flyway",
                                        "diesel", "sqlx",   "tern",           "prisma", "drizzle",
                                        NULL};
    _Static_assert(COUNT_OF(names) == FORMAT_COUNT + 1, "a name for each format");
    return names;
}

/* ---- what is common to all ---- */

static bool
is_dump(Str name)
{
    static const char *const dumps[] = {"schema.sql", "structure.sql", "seed.sql", "seeds.sql"};
    for (size_t i = 0; i < COUNT_OF(dumps); i++) {
        if (str_eq(name, str_of(dumps[i])))
            return true;
    }
    return false;
}

NameParts
format_parse_name(FormatId id, Str name)
{
    const Format *format = format_row(id);
    if (name.n == 0 || name.p[0] == '.' || is_dump(name))
        return (NameParts){.kind = NAME_IGNORED};
    if (format->layout != LAYOUT_DIRS && !str_ends(name, STR(".sql")) &&
        str_eq_nocase(str_sub(name, name.n < 4 ? 0 : name.n - 4, name.n), STR(".sql")))
        return bad("looks like a migration, but its ending is not written '.sql'",
                   "Write the ending in lower case.");
    return format->parse(name);
}

/* ---- versions ---- */

char *
format_shown_version(Arena *arena, FormatId id, Str stored)
{
    size_t n = id == FORMAT_PRISMA ? leading_digits(stored) : 0;
    bool stamped = n > 0 && (n == stored.n || stored.p[n] == '_');
    return str_dup(arena, stamped ? str_sub(stored, 0, n) : stored);
}

char *
format_version(Arena *arena, FormatId id, Str raw)
{
    const Format *format = format_row(id);
    if (id == FORMAT_PRISMA)
        return format_shown_version(arena, id, raw);
    if (format->rule == VERSION_NUMBER)
        return str_dup(arena, format->as_written ? raw : strip_zeros(raw));
    char *version = str_dup(arena, raw), *out = version;
    if (id == FORMAT_FLYWAY) {
        for (char *p = version; *p; p++)
            *p = *p == '_' ? '.' : *p;
    } else if (id == FORMAT_DIESEL) {
        for (const char *p = version; *p; p++) {
            if (*p != '-')
                *out++ = *p;
        }
        *out = '\0';
    }
    return version;
}

/* Digits of any length so that byte order is the order of the numbers: their count first. */
static void
add_number(StrBuf *b, Str digits)
{
    digits = strip_zeros(digits);
    for (size_t place = 100000; place > 0; place /= 10)
        strbuf_addc(b, (char)('0' + digits.n / place % 10));
    strbuf_add(b, digits);
}

static char *
dotted_id(Arena *arena, Str version)
{
    StrBuf b = strbuf_new(arena, 64 * 1024);
    size_t kept = 1; /* bytes up to the last part that is not zero */
    strbuf_addc(&b, 'V');
    while (version.n > 0) {
        size_t n = leading_digits(version);
        Str part = strip_zeros(str_sub(version, 0, n));
        add_number(&b, n ? part : STR("0"));
        if (n > 0 && !str_eq(part, STR("0")))
            kept = b.n;
        strbuf_addc(&b, '.');
        version = str_sub(version, n + 1, version.n);
    }
    return str_dup(arena, str_sub(strbuf_str(&b), 0, kept));
}

char *
format_version_id(Arena *arena, FormatId id, const char *version)
{
    Str v = str_of(version);
    if (v.n > 4096) /* no file name is that long; a row of a table may be */
        v.n = 4096;
    switch (format_row(id)->rule) {
    case VERSION_TEXT:
        return str_dup(arena, v);
    case VERSION_DOTTED:
        return dotted_id(arena, v);
    case VERSION_NUMBER:
        break;
    }
    /* What is no number can only come from a version table: it sorts below every number. */
    if (v.n == 0 || leading_digits(v) != v.n)
        return str_printf(arena, "!" STR_FMT, STR_ARG(v));
    StrBuf b = strbuf_new(arena, 8192);
    add_number(&b, v);
    return str_dup(arena, strbuf_str(&b));
}

char *
format_repeatable_id(Arena *arena, const char *description)
{
    return str_printf(arena, "~%s", description);
}

/* ---- markers in content ---- */

bool
line_next(Str text, size_t at, Line *ret)
{
    if (at >= text.n)
        return false;
    const char *nl = memchr(text.p + at, '\n', text.n - at);
    size_t end = nl ? (size_t)(nl - text.p) : text.n;
    ret->start = at;
    ret->next = nl ? end + 1 : end;
    if (end > at && text.p[end - 1] == '\r')
        end--;
    ret->text = str_sub(text, at, end);
    return true;
}

static FormatId
line_marker(Str line)
{
    line = str_trim(line);
    if (!str_starts(line, STR("--")))
        return FORMAT_COUNT;
    if (str_eq(line, STR("---- create above / drop below ----")))
        return FORMAT_TERN;
    Str rest = str_trim(str_sub(line, 2, line.n));
    if (str_eq_nocase(str_sub(rest, 0, 6), STR("+goose")))
        return FORMAT_GOOSE;
    static const Str words[] = {{"migrate:up", 10}, {"migrate:down", 12}};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_eq_nocase(str_sub(rest, 0, words[i].n), words[i]) &&
            (rest.n == words[i].n || strchr(" \t\v\f", rest.p[words[i].n])))
            return FORMAT_DBMATE;
    }
    return FORMAT_COUNT;
}

FormatId
format_marker(Str text, size_t *ret_offset)
{
    Line line;
    for (size_t at = 0; line_next(text, at, &line); at = line.next) {
        FormatId id = line_marker(line.text);
        if (id != FORMAT_COUNT) {
            *ret_offset = line.start;
            return id;
        }
    }
    return FORMAT_COUNT;
}
