/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of a text, one pass from its beginning to its end. */

#include "sql/split.h"

#include "sql/block.h"
#include "sql/facts.h"
#include "sql/lex.h"
#include "sql/pgtree.h"
#include "core/banned.h"

/* A longer statement is data; the parser would need thirty times its length, so only the server
 * looks at it. */
enum { PARSE_MOST = 8 * 1024 * 1024 };
/* Statements share a scratch arena for the parser's copy until this much was copied. */
enum { SCRATCH_MOST = 1024 * 1024 };

typedef struct Splitter {
    Arena *arena;
    const SqlOptions *options;
    Lexer lex;
    Blocks blocks;
    SqlStatements found;
    size_t at, line, column; /* a position already counted up to */
    Arena *scratch;
    size_t scratch_used;
} Splitter;

/* ---- positions and errors ---- */

static void
advance(Splitter *s, size_t to)
{
    for (; s->at < to; s->at++) {
        unsigned char c = (unsigned char)s->lex.text.p[s->at];
        if (c == '\n') {
            s->line++;
            s->column = 1;
        } else if ((c & 0xc0) != 0x80) {
            s->column++;
        }
    }
}

static bool
fail_at(const Splitter *s, size_t offset, Error *err, const char *message)
{
    size_t line, column;
    str_position(s->lex.text, offset, &line, &column);
    error_set(err, ERROR_USAGE, "%s", message);
    error_at(err, "", line, column);
    err->cls = ERROR_CLASS_SYNTAX;
    err->sql_offset = (int64_t)offset;
    return false;
}

static bool
fail_meta_command(const Splitter *s, size_t offset, Error *err)
{
    enum { NAME_SHOWN = 40 };
    Str rest = str_sub(s->lex.text, offset, s->lex.text.n);
    size_t n = 1;
    while (n < rest.n && n < NAME_SHOWN && ((rest.p[n] | 32) >= 'a' && (rest.p[n] | 32) <= 'z'))
        n++;
    fail_at(s, offset, err,
            str_printf(s->arena, "'" STR_FMT "' is a command of psql, not SQL",
                       STR_ARG(str_sub(rest, 0, n))));
    return error_hint(err, "Only psql knows backslash commands: write what it does as SQL, or take "
                           "the line out.");
}

static bool
fail_token(const Splitter *s, const Token *t, Error *err)
{
    fail_at(s, t->start, err, t->fault);
    return error_hint(err, "It begins here and is still open at the end of the text.");
}

static bool
fail_body(const Splitter *s, size_t offset, Error *err)
{
    Lexer lex = s->lex;
    lex.at = offset;
    Token word = lex_next(&lex);
    fail_at(s, offset, err,
            str_printf(s->arena, "unterminated body: '" STR_FMT "' is not closed",
                       STR_ARG(lex_text(&lex, &word))));
    if (s->options->dialect == SQL_MYSQL)
        return error_hint(err, "Each BEGIN, IF, CASE and loop needs its END. Lines with DELIMITER "
                               "around the statement say where it ends, whatever is in it.");
    if (s->options->dialect == SQL_SQLITE)
        return error_hint(err, "The body of a trigger ends with ';' and END.");
    return error_hint(err, "A body of BEGIN ATOMIC ends with ';' and END.");
}

/* ---- one statement ---- */

static bool
parse(Splitter *s, const SqlStatement *statement, Error *err)
{
    if (statement->length > PARSE_MOST || s->options->server_major > sql_parser_major())
        return true;
    if (s->scratch_used > SCRATCH_MOST) {
        arena_free(s->scratch);
        s->scratch = arena_new();
        s->scratch_used = 0;
    }
    s->scratch_used += statement->length;
    Str text = str_sub(s->lex.text, statement->offset, statement->offset + statement->length);
    PgCheck check = pgtree_check(s->scratch, text);
    if (check.message[0])
        return fail_at(s, statement->offset + check.at, err, check.message);
    if (check.statements != 1)
        return fail_at(s, statement->offset, err, "cannot tell where this statement ends");
    return true;
}

/* psql takes the lines behind COPY ... FROM STDIN up to one of \. alone as its data. */
static void
skip_copy_data(Splitter *s)
{
    Str text = s->lex.text;
    size_t at = s->lex.at;
    for (bool first = true; at < text.n; first = false) {
        Str rest = str_sub(text, at, text.n);
        size_t n = str_find(rest, '\n');
        at += n < rest.n ? n + 1 : n;
        if (!first && str_eq(str_trim(str_sub(rest, 0, n)), STR("\\.")))
            break;
    }
    s->lex.at = at;
}

static bool
add_statement(Splitter *s, size_t start, size_t end, bool copies, Error *err)
{
    const SqlOptions *options = s->options;
    SqlStatement statement = {.offset = start, .length = end - start};
    advance(s, start);
    statement.line = s->line;
    statement.column = s->column;
    if (options->dialect == SQL_POSTGRES && !parse(s, &statement, err))
        return false;
    if (options->facts || copies) {
        SqlStatement facts = statement;
        sql_facts(s->arena, options, str_sub(s->lex.text, start, end), &facts);
        statement.copy_from_stdin = facts.copy_from_stdin;
        if (options->facts)
            statement = facts;
    }
    if (statement.copy_from_stdin)
        skip_copy_data(s);
    *vec_push(s->arena, &s->found) = statement;
    return true;
}

static bool
take_delimiter_line(Splitter *s, const Token *word, Error *err)
{
    if (lex_delimiter_line(&s->lex))
        return true;
    fail_at(s, word->start, err, "DELIMITER without a delimiter");
    return error_hint(err, "Name it on the same line, as in `DELIMITER //`.");
}

/* Does this token end the statement? */
static bool
ends(Splitter *s, const Token *t)
{
    if (t->kind == TOKEN_DELIMITER)
        return true;
    bool ended = blocks_feed(&s->blocks, &s->lex, t);
    /* Between DELIMITER lines a stored program ends at the delimiter alone. Any other statement
     * cannot hold a ';', so that one ends it there too. */
    return ended && s->lex.gates == 0 && !(s->lex.delimiter.n > 0 && blocks_is_program(&s->blocks));
}

/* The next statement, if there is one: from its first token to its last. */
static bool
next_statement(Splitter *s, bool *ret_more, Error *err)
{
    size_t start = 0, end = 0;
    bool any = false, copies = false;
    blocks_start(&s->blocks, s->options->dialect);
    for (;;) {
        Token t = lex_next(&s->lex);
        if (t.kind == TOKEN_BAD)
            return fail_token(s, &t, err);
        if (t.kind == TOKEN_END)
            break;
        if (!any && s->options->dialect == SQL_MYSQL && lex_is_word(&s->lex, &t, "delimiter"))
            return take_delimiter_line(s, &t, err);
        if (s->options->dialect == SQL_POSTGRES && lex_is_symbol(&s->lex, &t, '\\'))
            return fail_meta_command(s, t.start, err);
        if (ends(s, &t))
            return !any || add_statement(s, start, end, copies, err);
        if (s->blocks.too_deep && s->lex.delimiter.n == 0)
            return fail_at(s, t.start, err, "blocks are nested too deeply");
        /* A ';' that a stored program keeps before its delimiter is not needed. */
        if (!any) {
            start = t.start;
            copies = s->options->dialect == SQL_POSTGRES && lex_is_word(&s->lex, &t, "copy");
        }
        if (!lex_is_symbol(&s->lex, &t, ';'))
            end = t.end;
        any = true;
    }
    *ret_more = false;
    size_t open;
    if (any && s->lex.delimiter.n == 0 && blocks_unclosed(&s->blocks, &open))
        return fail_body(s, open, err);
    return !any || add_statement(s, start, end, copies, err);
}

bool
sql_split(Arena *arena, Str text, const SqlOptions *options, SqlStatements *ret, Error *err)
{
    Splitter s = {.arena = arena,
                  .options = options,
                  .lex = lexer_new(text, options),
                  .line = 1,
                  .column = 1,
                  .scratch = arena_new()};
    size_t nul = str_find(text, '\0');
    bool more = true, ok = true;
    if (nul < text.n)
        ok = fail_at(&s, nul, err, "the text holds a NUL byte");
    while (ok && more)
        ok = next_statement(&s, &more, err);
    arena_free(s.scratch);
    if (ok)
        *ret = s.found;
    return ok;
}

bool
sql_is_blank(SqlDialect dialect, Str text)
{
    SqlOptions options = {.dialect = dialect};
    Lexer lex = lexer_new(text, &options);
    return lex_next(&lex).kind == TOKEN_END;
}
