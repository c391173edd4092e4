/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside this room: one row a format, with its rules for names and content. A format is a row of
 * formats.c; what needs more than a few lines stands in formats_<name>.c.
 */

#include "core/hash.h"
#include "migrate/source.h"

enum {
    MIGRATION_CEILING = 64 * 1024 * 1024, /* bytes of one file */
};

typedef enum NameKind {
    NAME_IGNORED, /* not a migration, for the original tool and for us */
    NAME_UP,
    NAME_DOWN,
    NAME_REPEATABLE,
    NAME_BAD, /* looks like one, and is not: refused by name */
} NameKind;

typedef struct NameParts {
    NameKind kind;
    Str version, description; /* as they stand in the name */
    const char *problem;      /* BAD: what is wrong, after the name in quotes */
    const char *hint;         /* BAD: what to do */
} NameParts;

typedef enum FormatLayout {
    LAYOUT_FLAT,    /* files of one directory */
    LAYOUT_DIRS,    /* a directory a migration (diesel, prisma) */
    LAYOUT_TREE,    /* files, directories scanned to the bottom (flyway) */
    LAYOUT_JOURNAL, /* files of one directory, named and ordered by meta/_journal.json (drizzle) */
} FormatLayout;

typedef enum VersionRule {
    VERSION_NUMBER, /* compared as a number */
    VERSION_TEXT,   /* compared byte by byte */
    VERSION_DOTTED, /* flyway: numbers between dots, zeros at the end do not count */
} VersionRule;

typedef struct LoadContext {
    Arena *arena;
    const SourceOptions *options;
    const Source *source;
    Migration *m; /* texts and checksums are there; sections fills bodies, flags */
} LoadContext;

typedef struct Format {
    const char *name;
    const char *files; /* for people: what names it knows */
    FormatLayout layout;
    const char *up_file, *down_file, *conf_file; /* LAYOUT_DIRS: within a migration's directory */
    VersionRule rule;
    bool as_written;         /* VERSION_NUMBER: stored with its leading zeros */
    const char *max_version; /* VERSION_NUMBER: NULL = none */
    bool file_order;         /* order of whole file names, not of versions (dbmate) */
    bool lone_down;          /* a version with only a down file is an empty up */
    NameParts (*parse)(Str name);
    bool (*sections)(LoadContext *ctx, Error *err);
    /* `new`: text of the up file (with its down section), and of the down file; NULL = none. */
    const char *new_up, *new_down;
} Format;

const Format *format_row(FormatId id);
/* Hidden files, other extensions and well-known dumps are ignored before the format is asked. */
NameParts format_parse_name(FormatId id, Str name);
/* The version as it is stored: without leading zeros, dashes, ... where the format does so. */
char *format_version(Arena *arena, FormatId id, Str raw);
/* What people see of a version that a table holds: prisma's are whole names of folders. */
char *format_shown_version(Arena *arena, FormatId id, Str stored);
/* Whether `name` is made as Flyway makes them: V1__x.sql, U1__x.sql, B1__x.sql, R__x.sql. */
bool format_is_flyway_name(Str name);
NameParts flyway_parse_name(Str name);

/* Markers of formats that are told by content. FORMAT_COUNT = none. Also finds what only nearly is
 * a marker (indented, other case): such a file must not pass for one without. */
FormatId format_marker(Str text, size_t *ret_offset);

/* Line iteration; false at the end. */
typedef struct Line {
    Str text; /* without its end */
    size_t start, next;
} Line;
bool line_next(Str text, size_t at, Line *ret);

/* Reports at an offset of the file: `sections` functions use it. */
bool load_fail(const Script *script, size_t text_offset, Error *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

bool plain_sections(LoadContext *ctx, Error *err);
bool dbmate_sections(LoadContext *ctx, Error *err);
bool goose_sections(LoadContext *ctx, Error *err);
bool flyway_sections(LoadContext *ctx, Error *err);
bool diesel_sections(LoadContext *ctx, Error *err);
bool sqlx_sections(LoadContext *ctx, Error *err);
bool tern_sections(LoadContext *ctx, Error *err);
/* prisma, drizzle: whether the files were made for the engine at hand. */
bool provider_sections(LoadContext *ctx, Error *err);
/* Goose says where a statement ends; other formats leave it to sql_split. */
bool goose_split(Arena *arena, const SourceOptions *options, Script *script, Error *err);
/* Drizzle cuts at its marker, whatever stands around it; what lies between goes to sql_split. */
bool drizzle_split(Arena *arena, const SourceOptions *options, Script *script, Error *err);
/* Splits a part of the body; offsets become those of the body, positions those of the file.
 * `line` is the file's line of `from`, `column` its column. */
bool script_split(Arena *arena,
                  const SourceOptions *options,
                  const Script *script,
                  size_t from,
                  size_t to,
                  size_t line,
                  size_t column,
                  SqlStatements *ret,
                  Error *err);

/* tool_checksum and tool_checksum_also from the raw bytes of the up file. */
bool flyway_checksums(LoadContext *ctx, Error *err);
/* sqlx, prisma, drizzle hash the bytes as they are; other line ends are accepted besides. */
void raw_checksums(Arena *arena, HashKind kind, Str raw, Migration *m);
