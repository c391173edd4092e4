/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies, by the words that open and close them. Most of those words are free to be names in MySQL
 * (`end`, `begin`): so a word opens or closes only where a statement of the body may begin, except
 * for CASE, which is reserved and also an expression.
 */

#include "sql/block.h"

#include <string.h>

#include "core/banned.h"

enum {
    BLOCK_BEGIN = 'B',
    BLOCK_CASE = 'C',       /* CASE statement: END CASE */
    BLOCK_EXPRESSION = 'E', /* CASE expression: END */
    BLOCK_IF = 'I',
    BLOCK_LOOP = 'L',
    BLOCK_WHILE = 'W',
    BLOCK_REPEAT = 'R',
    BLOCK_FOR = 'F',
};

void
blocks_start(Blocks *b, SqlDialect dialect)
{
    b->dialect = dialect;
    b->tokens = b->parens = b->depth = b->first = 0;
    b->too_deep = false;
    b->state = 1;
    b->part = PROGRAM_UNDECIDED;
    b->at_start = b->parameters = b->declares = b->handles = b->skip = false;
}

bool
blocks_is_program(const Blocks *b)
{
    return b->dialect == SQL_MYSQL && b->part > PROGRAM_NONE;
}

static char
top(const Blocks *b)
{
    return b->depth > 0 ? b->kinds[b->depth - 1] : '\0';
}

static void
push(Blocks *b, char kind, const Token *t)
{
    if (b->depth == BLOCKS_DEEPEST) {
        b->too_deep = true;
        return;
    }
    b->kinds[b->depth] = kind;
    b->starts[b->depth++] = t->start;
}

static bool
last_is_symbol(const Blocks *b, const Lexer *l, char symbol)
{
    return b->tokens > 0 && lex_is_symbol(l, &b->last, symbol);
}

static bool
last_is_word(const Blocks *b, const Lexer *l, const char *word)
{
    return b->tokens > 0 && lex_is_word(l, &b->last, word);
}

static void
count_parens(Blocks *b, const Lexer *l, const Token *t)
{
    if (lex_is_symbol(l, t, '('))
        b->parens++;
    else if (lex_is_symbol(l, t, ')') && b->parens > 0)
        b->parens--;
}

/* ---- SQLite ---- */

/* The machine of sqlite3_complete (src/complete.c), with its states and token classes; blanks,
 * which leave every state but that of EXPLAIN as it is, do not come here. */
enum { LITE_SEMI, LITE_OTHER, LITE_EXPLAIN, LITE_CREATE, LITE_TEMP, LITE_TRIGGER, LITE_END };
enum { LITE_NORMAL = 2, LITE_BODY = 5, LITE_BODY_SEMI = 6 };

static const unsigned char lite_next[8][7] = {
    /*              ;  other explain create temp trigger end */
    /* invalid */ {1, 2, 3, 4, 2, 2, 2},
    /* start   */ {1, 2, 3, 4, 2, 2, 2},
    /* normal  */ {1, 2, 2, 2, 2, 2, 2},
    /* explain */ {1, 3, 2, 4, 2, 2, 2},
    /* create  */ {1, 2, 2, 2, 4, 5, 2},
    /* trigger */ {6, 5, 5, 5, 5, 5, 5},
    /* semi    */ {6, 5, 5, 5, 5, 5, 7},
    /* end     */ {1, 5, 5, 5, 5, 5, 5},
};

static int
lite_class(const Lexer *l, const Token *t)
{
    static const char *const words[] = {"explain", "create", "temp", "temporary",
                                        "trigger", "end",    NULL};
    static const int classes[] = {LITE_EXPLAIN, LITE_CREATE,  LITE_TEMP,
                                  LITE_TEMP,    LITE_TRIGGER, LITE_END};
    if (lex_is_symbol(l, t, ';'))
        return LITE_SEMI;
    int word = lex_word_in(l, t, words);
    return word < 0 ? LITE_OTHER : classes[word];
}

static bool
feed_sqlite(Blocks *b, const Lexer *l, const Token *t)
{
    bool semi = lex_is_symbol(l, t, ';');
    if (b->state == LITE_NORMAL && !semi)
        return false;
    if (b->tokens == 0)
        b->first = t->start;
    b->state = lite_next[b->state][lite_class(l, t)];
    return semi && b->state == 1;
}

/* ---- PostgreSQL ---- */

/* CREATE [OR REPLACE] FUNCTION|PROCEDURE: only these have a BEGIN ATOMIC body (from 14). */
static void
look_at_head(Blocks *b, const Lexer *l, const Token *t)
{
    static const char *const head[] = {"create", "or", "replace", NULL};
    if (lex_is_word(l, t, "function") || lex_is_word(l, t, "procedure"))
        b->part = b->tokens > 0 ? PROGRAM_BODY : PROGRAM_NONE;
    else if (lex_word_in(l, t, head) < 0)
        b->part = PROGRAM_NONE;
}

static bool
feed_postgres(Blocks *b, const Lexer *l, const Token *t)
{
    count_parens(b, l, t);
    if (lex_is_symbol(l, t, ';'))
        return b->parens == 0 && b->depth == 0; /* CREATE RULE ... DO (one; two) */
    if (b->part == PROGRAM_UNDECIDED)
        look_at_head(b, l, t);
    if (b->part != PROGRAM_BODY || last_is_symbol(b, l, '.') || last_is_word(b, l, "as"))
        return false;
    if (lex_is_word(l, t, "begin")) {
        Token next = lex_peek(l);
        if (lex_is_word(l, &next, "atomic"))
            push(b, BLOCK_BEGIN, t);
    } else if (b->depth > 0 && lex_is_word(l, t, "case")) {
        push(b, BLOCK_EXPRESSION, t);
    } else if (b->depth > 0 && lex_is_word(l, t, "end")) {
        /* Else it is a column's label: SELECT 1 end. */
        if (top(b) == BLOCK_EXPRESSION || last_is_symbol(b, l, ';') || last_is_word(b, l, "atomic"))
            b->depth--;
    }
    return false;
}

/* ---- MySQL, MariaDB ---- */

static void
start_body(Blocks *b)
{
    b->part = PROGRAM_BODY;
    b->at_start = true;
}

/* The words after END, and the block each closes. */
static const char *const closers[] = {"case", "if", "loop", "while", "repeat", "for", NULL};
static const char closed_kinds[] = {BLOCK_CASE,  BLOCK_IF,     BLOCK_LOOP,
                                    BLOCK_WHILE, BLOCK_REPEAT, BLOCK_FOR};

static void
close_block(Blocks *b, const Lexer *l, bool at_start)
{
    if (top(b) == BLOCK_EXPRESSION) {
        b->depth--;
        return;
    }
    Token next = lex_peek(l);
    int closer = lex_word_in(l, &next, closers);
    char kind = closer < 0 ? BLOCK_BEGIN : closed_kinds[closer];
    /* REPEAT ... UNTIL condition END REPEAT: the only END behind an expression. */
    if (!at_start && kind != BLOCK_REPEAT)
        return;
    if (top(b) == kind)
        b->depth--;
    b->skip = closer >= 0;
}

static void
feed_body_word(Blocks *b, const Lexer *l, const Token *t, bool at_start)
{
    static const char *const words[] = {"begin",   "case",    "if",     "loop", "while",
                                        "repeat",  "for",     "then",   "else", "do",
                                        "declare", "handler", "atomic", "end",  NULL};
    enum {
        BEGIN,
        CASE,
        IF,
        LOOP,
        WHILE,
        REPEAT,
        FOR,
        THEN,
        ELSE,
        DO,
        DECLARE,
        HANDLER,
        ATOMIC,
        END
    };
    char open = top(b);
    switch (lex_word_in(l, t, words)) {
    case BEGIN:
        if (at_start || b->handles) {
            push(b, BLOCK_BEGIN, t);
            b->at_start = true;
            b->declares = b->handles = false;
        }
        break;
    case CASE:
        push(b, at_start ? BLOCK_CASE : BLOCK_EXPRESSION, t);
        break;
    case IF:
        if (at_start)
            push(b, BLOCK_IF, t);
        break;
    case LOOP:
        if (at_start)
            push(b, BLOCK_LOOP, t);
        b->at_start = at_start;
        break;
    case WHILE:
        if (at_start)
            push(b, BLOCK_WHILE, t);
        break;
    case REPEAT:
        if (at_start)
            push(b, BLOCK_REPEAT, t);
        b->at_start = at_start;
        break;
    case FOR:
        if (at_start)
            push(b, BLOCK_FOR, t);
        break;
    case THEN:
    case ELSE:
        b->at_start = open == BLOCK_IF || open == BLOCK_CASE;
        break;
    case DO:
        b->at_start = !at_start && (open == BLOCK_WHILE || open == BLOCK_FOR);
        break;
    case DECLARE:
        b->declares = at_start;
        break;
    case HANDLER:
        b->handles = b->declares;
        break;
    case ATOMIC: /* BEGIN NOT ATOMIC */
        b->at_start = last_is_word(b, l, "not");
        break;
    case END:
        close_block(b, l, at_start);
        break;
    default:
        break;
    }
}

/* The first words, up to what is created. True when the token is one of the body. */
static bool
decide_program(Blocks *b, const Lexer *l, const Token *t)
{
    static const char *const before[] = {"create",       "alter",     "or",
                                         "replace",      "definer",   "current_user",
                                         "current_role", "aggregate", NULL};
    static const char *const compound[] = {"if", "case", "loop", "while", "repeat", "for", NULL};
    static const char *const kinds[] = {"trigger", "event", "procedure", "function", NULL};
    static const ProgramPart parts[] = {PROGRAM_TRIGGER, PROGRAM_EVENT, PROGRAM_PROCEDURE,
                                        PROGRAM_FUNCTION};
    if (b->tokens == 0) {
        Token next = lex_is_word(l, t, "begin") ? lex_peek(l) : (Token){TOKEN_END, 0, 0, NULL};
        /* MariaDB has compound statements outside of stored programs too. */
        if (lex_word_in(l, t, compound) >= 0 || lex_is_word(l, &next, "not"))
            start_body(b);
        else if (!lex_is_word(l, t, "create") && !lex_is_word(l, t, "alter"))
            b->part = PROGRAM_NONE;
        return b->part == PROGRAM_BODY;
    }
    /* DEFINER = name@host: any word may stand there. */
    if (t->kind != TOKEN_WORD || last_is_symbol(b, l, '=') || last_is_symbol(b, l, '@'))
        return false;
    int kind = lex_word_in(l, t, kinds);
    if (kind >= 0)
        b->part = parts[kind];
    else if (lex_is_word(l, t, "package")) /* Oracle mode: cut by DELIMITER alone */
        b->part = PROGRAM_BODY;
    else if (lex_word_in(l, t, before) < 0)
        b->part = PROGRAM_NONE;
    return false;
}

static bool
feed_routine_head(Blocks *b, const Lexer *l, const Token *t)
{
    static const char *const characteristics[] = {
        "comment",  "language", "sql",  "not",      "deterministic", "contains", "no",
        "modifies", "reads",    "data", "security", "definer",       "invoker",  NULL};
    static const char *const first[] = {"begin",  "case", "if",     "loop", "while",
                                        "repeat", "for",  "return", NULL};
    if (!b->parameters) {
        b->parameters = lex_is_symbol(l, t, ')') && b->parens == 0;
        return false;
    }
    if (t->kind != TOKEN_WORD || b->parens > 0)
        return false;
    /* Before the body of a function stand its type's words, of which there are many. */
    bool body = b->part == PROGRAM_FUNCTION ? lex_word_in(l, t, first) >= 0
                                            : lex_word_in(l, t, characteristics) < 0;
    if (body)
        start_body(b);
    return body;
}

static bool
feed_head(Blocks *b, const Lexer *l, const Token *t)
{
    switch (b->part) {
    case PROGRAM_UNDECIDED:
        return decide_program(b, l, t);
    case PROGRAM_TRIGGER:
        if (lex_is_word(l, t, "row") && last_is_word(b, l, "each"))
            start_body(b);
        return false;
    case PROGRAM_EVENT:
        if (lex_is_word(l, t, "do"))
            start_body(b);
        return false;
    case PROGRAM_PROCEDURE:
    case PROGRAM_FUNCTION:
        return feed_routine_head(b, l, t);
    case PROGRAM_NONE:
    case PROGRAM_BODY:
        break;
    }
    return b->part == PROGRAM_BODY;
}

static void
feed_body(Blocks *b, const Lexer *l, const Token *t)
{
    bool at_start = b->at_start;
    b->at_start = false;
    if (t->kind == TOKEN_WORD && !last_is_symbol(b, l, '.') && !last_is_symbol(b, l, '@')) {
        /* FOR EACH ROW FOLLOWS other_trigger BEGIN ... */
        bool order = lex_is_word(l, t, "follows") || lex_is_word(l, t, "precedes");
        if (order && at_start && b->depth == 0)
            b->at_start = b->skip = true;
        else
            feed_body_word(b, l, t, at_start);
    } else if (lex_is_symbol(l, t, ':')) { /* label: BEGIN */
        b->at_start = true;
    }
}

static bool
feed_mysql(Blocks *b, const Lexer *l, const Token *t)
{
    if (b->part == PROGRAM_NONE)
        return lex_is_symbol(l, t, ';');
    count_parens(b, l, t);
    if (lex_is_symbol(l, t, ';')) {
        b->at_start = true;
        b->declares = b->handles = b->skip = false;
        return b->depth == 0;
    }
    if (b->skip)
        b->skip = false;
    else if (feed_head(b, l, t))
        feed_body(b, l, t);
    return false;
}

/* ---- for the splitter ---- */

bool
blocks_feed(Blocks *b, const Lexer *l, const Token *t)
{
    static bool (*const feed[])(Blocks *, const Lexer *, const Token *) = {
        [SQL_POSTGRES] = feed_postgres, [SQL_MYSQL] = feed_mysql, [SQL_SQLITE] = feed_sqlite};
    if (t->kind == TOKEN_GATE)
        return false;
    bool ends = feed[b->dialect](b, l, t);
    b->last = *t;
    b->tokens++;
    return ends;
}

bool
blocks_unclosed(const Blocks *b, size_t *ret_start)
{
    if (b->dialect == SQL_SQLITE && (b->state == LITE_BODY || b->state == LITE_BODY_SEMI)) {
        *ret_start = b->first;
        return true;
    }
    if (b->depth == 0)
        return false;
    *ret_start = b->starts[0];
    return true;
}
