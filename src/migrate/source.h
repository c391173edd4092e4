/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Migration files: found, recognised, named, ordered, hashed; read only when somebody needs the
 * content. One directory, one format; a row of formats.c for each (contract 6, facts in the
 * header of formats.c). Nothing here touches a database.
 */

#include "core/error.h"
#include "core/fs.h"
#include "core/str.h"
#include "sql/split.h"

typedef enum FormatId {
    FORMAT_PLAIN,
    FORMAT_DBMATE,
    FORMAT_GOLANG_MIGRATE,
    FORMAT_GOOSE,
    FORMAT_FLYWAY,
    FORMAT_DIESEL,
    FORMAT_SQLX,
    FORMAT_TERN,
    FORMAT_PRISMA,
    FORMAT_DRIZZLE,
    FORMAT_COUNT
} FormatId;

/* One direction of a migration as it will be run. */
typedef struct Script {
    const char *file;         /* path shown to people: dir/name */
    Str text;                 /* whole file content, BOM removed */
    size_t from, to;          /* the part of `text` to run (dbmate's up section ...) */
    Str body;                 /* what to run: text[from..to], or rewritten (placeholders) */
    bool rewritten;           /* `body` differs from the file: positions keep the line (unless a
                                 value holds line ends), columns are those of `body` */
    bool no_transaction;      /* the file says so */
    SqlStatements statements; /* offsets relative to `body`; filled by migration_load */
    bool loaded;
} Script;

typedef struct Migration {
    char *version;   /* as shown and stored; repeatable (flyway R__): NULL */
    char *name;      /* description part: "create_users" */
    char *path;      /* of the up file, dir included */
    char *down_path; /* NULL = no down file (or none in this format) */
    char *key;       /* sort key: byte order of keys is the order of the format */
    char *id;        /* identity: files and rows with equal ids are one version (plain: 1 = 01) */
    char *script;    /* path inside the directory: flyway's column of that name */
    char *conf_path; /* diesel: metadata.toml, flyway: NAME.sql.conf; NULL = none */
    bool repeatable;
    bool has_up; /* golang-migrate: a version with only a down file is an empty up */
    /* By migration_load: */
    bool loaded;
    Script up, down;
    bool has_down;   /* a down section or file exists */
    bool reversible; /* a line `-- lockstep: reversible` says that undoing it loses nothing */
    char *checksum;  /* SHA-256 hex of the file, line ends as LF: lockstep_migrations.checksum */
    char *tool_checksum; /* the format's own (flyway: signed decimal CRC32, sqlx: SHA-384 hex), NULL
                          */
    /* Other values that mean the same content: sqlx with LF and with CRLF line ends, flyway's R__
     * before placeholders. NULL = none. */
    char *tool_checksum_also[2];
    bool parse_only_warned;
} Migration;

typedef struct Source {
    FormatId format;
    const char *format_name; /* "plain", "dbmate", ... */
    char *dir;
    /* Prisma, Drizzle: the engine that the files were made for, in that tool's words, and the file
     * that says so. NULL = nobody says, or after source_look. */
    char *provider, *provider_file;
    size_t files;              /* that belong to migrations, downs too */
    VEC(Migration) migrations; /* in order; repeatables last; none after source_look */
    char *stat_digest; /* SHA-256 hex over names, sizes, mtimes: the fast path's files part */
} Source;

typedef struct SourceOptions {
    const char *dir;    /* NULL: first default directory that holds SQL migrations */
    const char *format; /* NULL or "auto": recognise */
    /* Tables that decide between plain, tern and sqlx are known only with a database: these say
     * that they are there. */
    bool tern_table_exists, sqlx_table_exists;
    /* `new` works on an empty directory; else an empty one of dbmate or tern is refused, as these
     * tools do. */
    bool may_be_empty;
    /* Down scripts will be run, so that they must parse too. Else one that does not stands as a
     * single statement: old ones are often broken, and that must not stop an upgrade. */
    bool undo;
    SqlDialect dialect;
    int server_major;
    /* Values of FLYWAY_PLACEHOLDERS_X and the built-in ones; name/value pairs, NULL-terminated. */
    const char *const *placeholders;
    bool placeholders_off; /* FLYWAY_PLACEHOLDER_REPLACEMENT=false */
    /* Looks up ${X} for goose's ENVSUB. NULL = nothing is set. */
    const char *(*env)(void *ctx, const char *name);
    void *env_ctx;
} SourceOptions;

/* Which directory and format, and the digest of what lies there: all that a start with nothing to
 * do needs. What source_scan refuses may pass. Names and stats only, and for recognition the first
 * and the last file's content. */
bool source_look(Arena *arena, const SourceOptions *options, Source *ret, Error *err) MUST_CHECK;
/* The migrations besides. ERROR_USAGE for two files of one version, two formats, a name without a
 * version that looks like a migration, a link that leaves the directory, a tern gap, ...; the
 * message names the files and says what to do. A directory that is not there: ret->dir NULL and no
 * files when options->dir was NULL, else ERROR_USAGE. */
bool source_scan(Arena *arena, const SourceOptions *options, Source *ret, Error *err) MUST_CHECK;
/* Tern/sqlx/plain are the same files; once the tables are known, settle (may re-key and re-check).
 */
bool
source_settle(Arena *arena, Source *source, const SourceOptions *options, Error *err) MUST_CHECK;
/* Content, sections, checksums, statements of one migration. ERROR_USAGE with file:line:column for
 * invalid UTF-8, NUL, bad markers, what does not parse, COPY FROM stdin. */
bool migration_load(Arena *arena,
                    const Source *source,
                    Migration *m,
                    const SourceOptions *options,
                    Error *err) MUST_CHECK;
/* Checksums only: no sections, no parsing (a changed file is found by `status` quickly). */
bool migration_hash(Arena *arena,
                    const Source *source,
                    Migration *m,
                    const SourceOptions *options,
                    Error *err) MUST_CHECK;
/* File position of an offset in script->body. */
void
script_position(const Script *script, size_t body_offset, size_t *ret_line, size_t *ret_column);

const char *format_name(FormatId id);
/* The identity of a version as written in a file name or in a version table. Byte order of the
 * ids of two versions is the order of the format (dbmate: of the version, files go by name). */
char *format_version_id(Arena *arena, FormatId id, const char *version);
/* The identity of a repeatable (flyway), by its description. */
char *format_repeatable_id(Arena *arena, const char *description);
bool format_by_name(const char *name, FormatId *ret);
const char *const *format_names(void); /* NULL-terminated */
/* What a person calls one of the versions: its version, its id (prisma: the folder), or its name
 * where only one has that name. NULL = none. */
Migration *source_find(const Source *source, const char *text);
/* Next file(s) for `new NAME` in the directory's format (UTC stamp version; the next number where
 * the directory counts). Writes them and returns the paths, NULL-terminated. */
bool source_new(Arena *arena,
                const Source *source,
                const char *dir,
                const char *name,
                char ***ret_paths,
                Error *err) MUST_CHECK;
extern const char *const source_default_dirs[]; /* NULL-terminated */
