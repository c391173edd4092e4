/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SQL text -> statements, by the real grammar of each dialect, with the few facts about each that
 * a run needs. Works on views of the caller's text; nothing is copied or rewritten.
 *
 * One lexer (sql/lex.c) knows quotes and comments of each dialect, sql/block.c the bodies in which
 * a
 * ';' ends nothing: BEGIN ATOMIC; triggers as sqlite3_complete sees them; MySQL's stored programs,
 * with DELIMITER lines or without. Facts come from a statement's first words (sql/facts*.c). That a
 * PostgreSQL statement parses, and is one, libpg_query says (sql/pgtree.c).
 */

#include "core/error.h"
#include "core/str.h"

typedef enum SqlDialect { SQL_POSTGRES, SQL_MYSQL, SQL_SQLITE } SqlDialect;

typedef enum SqlKind {
    SQL_KIND_OTHER = 0,
    SQL_KIND_BEGIN,     /* BEGIN, START TRANSACTION */
    SQL_KIND_COMMIT,    /* COMMIT, END (of a transaction) */
    SQL_KIND_ROLLBACK,  /* ROLLBACK (whole) */
    SQL_KIND_SAVEPOINT, /* SAVEPOINT, RELEASE, ROLLBACK TO */
    SQL_KIND_SESSION, /* SET, USE, RESET, PRAGMA that sets: must be replayed when a file resumes */
    SQL_KIND_DML,     /* INSERT UPDATE DELETE REPLACE MERGE SELECT ... : commits with our row */
    SQL_KIND_DDL,     /* CREATE ALTER DROP RENAME TRUNCATE COMMENT GRANT ... */
} SqlKind;

typedef enum SqlObjectKind {
    SQL_OBJECT_NONE = 0,
    SQL_OBJECT_TABLE, /* CREATE/ALTER/DROP/RENAME/TRUNCATE TABLE; MySQL: also the table of an index
                       */
    SQL_OBJECT_INDEX, /* PostgreSQL, SQLite: index that CREATE/DROP/REINDEX INDEX names */
    SQL_OBJECT_VIEW,
    SQL_OBJECT_ROUTINE, /* procedure or function */
    SQL_OBJECT_TRIGGER,
    SQL_OBJECT_DATABASE,
} SqlObjectKind;

typedef struct SqlStatement {
    size_t offset,
        length;          /* in the text; without leading comments and blanks, without terminator */
    size_t line, column; /* 1-based, of `offset` */
    SqlKind kind;
    /* Cannot run inside a transaction block: CREATE/DROP INDEX CONCURRENTLY, VACUUM, REINDEX
     * CONCURRENTLY/SCHEMA/DATABASE, CREATE/DROP DATABASE, ALTER SYSTEM, TABLESPACE, DETACH
     * CONCURRENTLY, DISCARD ALL, ... ; SQLite: VACUUM, PRAGMA foreign_keys, journal_mode. */
    bool no_transaction;
    /* Its waiting blocks nobody: CONCURRENTLY, VALIDATE CONSTRAINT. lock_timeout is 0 for it. */
    bool waits_quietly;
    /* COPY ... FROM STDIN: cannot be run from a file; refused by name. */
    bool copy_from_stdin;
    /* CREATE INDEX CONCURRENTLY: may leave an invalid index behind. */
    bool concurrent_index;
    /* The object it makes, changes or drops, for settling what is in doubt; none when there are
     * several. Names are unquoted and case-folded as the server would; schema absent when not
     * given, name absent when the server chooses it (CREATE INDEX ON t). */
    SqlObjectKind object;
    Str object_schema, object_name;
    Str object_new_name; /* RENAME TO, else absent */
    bool creates, drops;
} SqlStatement;

typedef VEC(SqlStatement) SqlStatements;

typedef struct SqlOptions {
    SqlDialect dialect;
    /* Also fill in the facts (kind and on), not just the boundaries. */
    bool facts;
    /* PostgreSQL: major version of the server, 0 = unknown. Text that the parser does not know is
     * an error, unless the server is newer than the parser: then only the server can tell. */
    int server_major;
    /* MySQL: NO_BACKSLASH_ESCAPES or ANSI_QUOTES in sql_mode. */
    bool no_backslash_escapes, ansi_quotes;
} SqlOptions;

/* Fails (ERROR_USAGE, with line and column, sql_offset set) on an unterminated quote, comment or
 * body, on a psql meta command (`\connect`), and on a syntax error where the parser can tell. */
bool sql_split(Arena *arena, Str text, const SqlOptions *options, SqlStatements *ret, Error *err)
    MUST_CHECK;

/* True when `text` holds only blanks and comments. */
bool sql_is_blank(SqlDialect dialect, Str text);
int sql_parser_major(void); /* of the linked libpg_query: 15 */
