/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which ';' ends a statement, and which belongs to a body: SQLite's triggers, PostgreSQL's BEGIN
 * ATOMIC and parentheses, MySQL's procedures, functions, triggers and events (written without
 * DELIMITER too) and MariaDB's compound statements.
 */

#include "sql/lex.h"

enum { BLOCKS_DEEPEST = 256 };

/* How far MySQL's CREATE has been read. */
typedef enum ProgramPart {
    PROGRAM_UNDECIDED, /* CREATE [OR REPLACE] [DEFINER = ...] */
    PROGRAM_NONE,      /* no stored program: every ';' ends it */
    PROGRAM_TRIGGER,   /* head of a trigger, up to FOR EACH ROW */
    PROGRAM_EVENT,     /* head of an event, up to DO */
    PROGRAM_PROCEDURE, /* head of a procedure: parameters and characteristics */
    PROGRAM_FUNCTION,  /* head of a function, up to RETURN or its block */
    PROGRAM_BODY,
} ProgramPart;

typedef struct Blocks {
    SqlDialect dialect;
    size_t tokens; /* of the statement, so far */
    Token last;    /* the token before this one, when tokens > 0 */
    size_t parens;
    /* Blocks that are open: one letter each, and where they opened. */
    char kinds[BLOCKS_DEEPEST];
    size_t starts[BLOCKS_DEEPEST];
    size_t depth;
    bool too_deep;
    /* SQLite: state of its machine, and where the trigger began. */
    int state;
    size_t first;
    /* PostgreSQL, MySQL. */
    ProgramPart part;
    bool at_start;          /* a statement of the body may begin here */
    bool parameters;        /* the parameter list has been read */
    bool declares, handles; /* in DECLARE; in DECLARE ... HANDLER */
    bool skip;              /* the next token belongs to this one */
} Blocks;

void blocks_start(Blocks *b, SqlDialect dialect);
/* Takes the next token of the statement; `l` stands behind it. True when it ends the statement. */
bool blocks_feed(Blocks *b, const Lexer *l, const Token *t);
/* A body that is still open, and where it opened. */
bool blocks_unclosed(const Blocks *b, size_t *ret_start);
/* MySQL: a ';' in it may belong to its body, whatever the blocks say. */
bool blocks_is_program(const Blocks *b);
