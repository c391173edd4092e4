/* SPDX-License-Identifier: Apache-2.0 */
/* Text -> statements: PostgreSQL by its own scanner and grammar, the others by our lexer. */

#include "sql/split.h"

#include "sql/lex.h"
#include "sql/pgtree.h"
#include "sql/words.h"
#include "core/banned.h"

enum { PARSER_MAJOR = 15 };

int
sql_parser_major(void)
{
    return PARSER_MAJOR;
}

bool
sql_is_blank(SqlDialect dialect, Str text)
{
    Error ignored = ERROR_INIT;
    Lexer lexer = {.options = {.dialect = dialect}, .text = text};
    Token token;
    return lex_next(&lexer, &token, &ignored) && token.kind == TOKEN_END;
}

/* Lines and columns are counted once, going forward: statements come in order. */
typedef struct Splitter {
    Arena            *arena;
    Str               text;
    const SqlOptions *options;
    SqlStatements     out;
    size_t            counted, line, line_start;
} Splitter;

static void
place(Splitter *sp, SqlStatement *s)
{
    for (; sp->counted < s->offset; sp->counted++) {
        if (sp->text.p[sp->counted] == '\n') {
            sp->line++;
            sp->line_start = sp->counted + 1;
        }
    }
    s->line = sp->line;
    s->column = 1;
    for (size_t i = sp->line_start; i < s->offset; i++)
        s->column += ((unsigned char)sp->text.p[i] & 0xc0) != 0x80;
}

static bool
fail_at(const Splitter *sp, size_t offset, Error *err)
{
    str_position(sp->text, offset, &err->line, &err->column);
    err->sql_offset = (int64_t)offset;
    return false;
}

/* ---- PostgreSQL ---- */

static bool
collect_words(const SqlOptions *options, Str statement, Lexer *lexer, Words *words, Error *err)
{
    *lexer = (Lexer){.options = *options, .text = statement};
    *words = (Words){.lexer = lexer};
    while (words->n < WORDS_MAX) {
        if (!lex_next(lexer, &words->tokens[words->n], err))
            return false;
        if (words->tokens[words->n].kind == TOKEN_END)
            break;
        words->n++;
    }
    return true;
}

/* Statements that end in data lines, and lines for psql itself, are no SQL: named before the
 * parser stumbles over what follows them. */
static bool
name_what_is_no_sql(const Splitter *sp, Error *err)
{
    size_t at = 0;
    Error  ignored = ERROR_INIT;
    while (at < sp->text.n) {
        Str    rest = str_sub(sp->text, at, sp->text.n);
        size_t end = str_find(rest, '\n');
        Str    line = str_trim(str_sub(rest, 0, end));
        Lexer  lexer;
        Words  words;
        if (line.n > 1 && line.p[0] == '\\' && line.p[1] != '.') {
            Str command = str_sub(line, 0, str_find(line, ' '));
            error_clear(err);
            lex_error(sp->text, at, err, "'" STR_FMT "' is a command of psql, not SQL", STR_ARG(command));
            error_hint(err, "Take it out; lockstep connects and reports by itself.");
            return false;
        }
        if (line.n > 4 && str_eq_nocase(str_sub(line, 0, 4), STR("copy")) &&
            collect_words(sp->options, line, &lexer, &words, &ignored)) {
            SqlStatement s = {0};
            words_facts(sp->arena, &words, &s);
            if (s.copy_from_stdin) {
                error_clear(err);
                return lex_error(sp->text, at, err, "COPY ... FROM stdin cannot be run from a file");
            }
        }
        error_clear(&ignored);
        at += end + 1;
    }
    return false; /* err stays the parser's */
}

static bool
postgres_statement(Splitter *sp, SqlStatement *s, Error *err)
{
    bool  known;
    Error why = ERROR_INIT;
    Str   text = str_sub(sp->text, s->offset, s->offset + s->length);
    pg_facts(sp->arena, text, sp->options->server_major, s, &known, &why);
    if (known)
        return true;
    if (why.code != ERROR_NONE && sp->options->server_major <= PARSER_MAJOR) {
        size_t at = s->offset + (why.sql_offset > 0 ? (size_t)why.sql_offset : 0);
        *err = why;
        fail_at(sp, at, err);
        return name_what_is_no_sql(sp, err);
    }
    Lexer lexer;
    Words words;
    if (!collect_words(sp->options, text, &lexer, &words, err))
        return fail_at(sp, s->offset, err);
    words_facts(sp->arena, &words, s);
    return true;
}

/* What comes before the first token is not part of the statement. */
static bool
postgres_span(Splitter *sp, size_t from, size_t to, Error *err)
{
    Str   span = str_sub(sp->text, from, to);
    Lexer lexer = {.options = *sp->options, .text = span};
    Token first;
    if (!lex_next(&lexer, &first, err))
        return fail_at(sp, from + (size_t)err->sql_offset, err);
    if (first.kind == TOKEN_END)
        return true;
    SqlStatement s = {.offset = from + first.offset};
    s.length = str_trim(str_sub(span, first.offset, span.n)).n;
    place(sp, &s);
    if (sp->options->facts && !postgres_statement(sp, &s, err))
        return false;
    *vec_push(sp->arena, &sp->out) = s;
    return true;
}

/* The library's scanner (15-4.0.0) leaves out statements without a keyword ("selec 1"): what stands
 * between its spans is looked at too, so that nothing is dropped in silence. */
static bool
postgres_gap(Splitter *sp, size_t from, size_t to, Error *err)
{
    Lexer lexer = {.options = *sp->options, .text = str_sub(sp->text, 0, to), .at = from};
    for (;;) {
        Token t;
        if (!lex_next(&lexer, &t, err))
            return fail_at(sp, (size_t)err->sql_offset, err);
        size_t start = t.offset, end = start;
        while (t.kind != TOKEN_END && !token_is_char(&lexer, &t, ';')) {
            end = t.offset + t.length;
            if (!lex_next(&lexer, &t, err))
                return fail_at(sp, (size_t)err->sql_offset, err);
        }
        if (end > start && !postgres_span(sp, start, end, err))
            return false;
        if (t.kind == TOKEN_END)
            return true;
    }
}

static bool
split_postgres(Splitter *sp, Error *err)
{
    SCRATCH_ARENA(scratch);
    PgSpans spans;
    Str     copy = {str_dup(scratch, sp->text), sp->text.n};
    if (!pg_boundaries(scratch, copy, &spans, err)) {
        fail_at(sp, err->sql_offset > 0 ? (size_t)err->sql_offset : 0, err);
        return name_what_is_no_sql(sp, err);
    }
    size_t end = 0;
    for (size_t i = 0; i < spans.n; i++) {
        if (!postgres_gap(sp, end, spans.p[i].offset, err) ||
            !postgres_span(sp, spans.p[i].offset, spans.p[i].offset + spans.p[i].length, err))
            return false;
        end = spans.p[i].offset + spans.p[i].length;
    }
    return postgres_gap(sp, end, sp->text.n, err);
}

/* ---- SQLite and MySQL ---- */

/* How deep in a compound body, and whether a word may begin a statement there. */
typedef struct Body {
    bool routine;
    int  depth;
    bool may_begin; /* the next word can be a statement's first */
    bool ended;     /* the last token was END: a word behind it belongs to it */
} Body;

static bool
token_in(const Lexer *l, const Token *t, const char *const *words)
{
    for (size_t i = 0; words[i]; i++) {
        if (token_is(l, t, words[i]))
            return true;
    }
    return false;
}

/* Follows BEGIN ... END and its kin. IF, LOOP, WHILE, REPEAT and FOR count where a statement can
 * begin (IF() and REPEAT() are functions elsewhere); BEGIN and CASE count anywhere. */
static void
follow_body(Body *b, const Lexer *l, const Token *t)
{
    static const char *const blocks[] = {"if", "loop", "while", "repeat", "for", NULL};
    static const char *const enders[] = {"if", "loop", "while", "repeat", "for", "case", NULL};
    static const char *const openers[] = {"begin", "then", "else", "loop", "repeat", "do", "row",
                                          "deterministic", "data", "sql", "atomic", NULL};
    if (b->ended && token_in(l, t, enders)) {
        b->ended = false;
        b->may_begin = false;
        return;
    }
    b->ended = token_is(l, t, "end");
    if (b->ended)
        b->depth--;
    else if (token_is(l, t, "begin") || token_is(l, t, "case") ||
             (b->may_begin && token_in(l, t, blocks)))
        b->depth++;
    b->may_begin = token_is_char(l, t, ';') || token_is_char(l, t, ':') ||
                   token_is_char(l, t, ')') || token_in(l, t, openers);
}

/* SQLite: a trigger ends at `; END ;`, as sqlite3_complete has it. */
typedef struct Trigger {
    bool inside;
    bool semicolon_end; /* the last two tokens were `;` and END */
    bool semicolon;     /* the last token was `;` */
} Trigger;

static bool
trigger_ends(Trigger *t, const Lexer *l, const Token *token)
{
    bool semicolon = token_is_char(l, token, ';');
    bool ends = semicolon && t->semicolon_end;
    t->semicolon_end = t->semicolon && token_is(l, token, "end");
    t->semicolon = semicolon;
    return ends;
}

static bool
makes_trigger(const Words *w)
{
    size_t i = 0;
    if (w->n && token_is(w->lexer, &w->tokens[0], "explain"))
        return false;
    if (i >= w->n || !token_is(w->lexer, &w->tokens[i++], "create"))
        return false;
    if (i < w->n && (token_is(w->lexer, &w->tokens[i], "temp") ||
                     token_is(w->lexer, &w->tokens[i], "temporary")))
        i++;
    return i < w->n && token_is(w->lexer, &w->tokens[i], "trigger");
}

/* A DELIMITER line (a command of the client): sets the lexer's stop. */
static bool
take_delimiter(Lexer *l, const Token *word, Error *err)
{
    size_t end = word->offset + str_find(str_sub(l->text, word->offset, l->text.n), '\n');
    Str    rest = str_trim(str_sub(l->text, word->offset + word->length, end));
    Str    delimiter = str_sub(rest, 0, str_find(rest, ' '));
    if (!delimiter.n)
        return lex_error(l->text, word->offset, err, "DELIMITER without a delimiter");
    l->stop = str_eq(delimiter, STR(";")) ? STR_ABSENT : delimiter;
    l->at = end;
    return true;
}

static void
first_of_code(Words *w, const Token *code, Lexer *inner)
{
    /* "/" "*" "!" and a version number, then what is run. */
    Str text = token_text(w->lexer, code);
    size_t at = str_find(text, '!') + 1;
    while (at < text.n && text.p[at] >= '0' && text.p[at] <= '9')
        at++;
    Error ignored = ERROR_INIT;
    *inner = *w->lexer;
    inner->text = str_sub(text, at, text.n >= 2 ? text.n - 2 : at);
    inner->at = 0;
    inner->stop = STR_ABSENT;
    w->lexer = inner;
    w->n = 0;
    while (w->n < WORDS_MAX && lex_next(inner, &w->tokens[w->n], &ignored) &&
           w->tokens[w->n].kind != TOKEN_END)
        w->n++;
}

static void
add_statement(Splitter *sp, Words *w, size_t from, size_t to)
{
    Lexer        inner;
    SqlStatement s = {.offset = from, .length = to - from};
    place(sp, &s);
    if (w->n && w->n <= 2 && w->tokens[0].kind == TOKEN_CODE)
        first_of_code(w, &w->tokens[0], &inner);
    if (sp->options->facts)
        words_facts(sp->arena, w, &s);
    *vec_push(sp->arena, &sp->out) = s;
}

static bool
unterminated_body(const Splitter *sp, size_t from, Error *err)
{
    return lex_error(sp->text, from, err, "this statement's body has no END");
}

/* One statement, or nothing at the end of the text (*ret_more false). */
static bool
split_one(Splitter *sp, Lexer *l, bool *ret_more, Error *err)
{
    bool    mysql = sp->options->dialect == SQL_MYSQL;
    Words   words = {.lexer = l};
    Body    body = {0};
    Trigger trigger = {0};
    size_t  from = 0, to = 0;
    for (size_t n = 0;; n++) {
        Token t;
        if (!lex_next(l, &t, err))
            return false;
        bool at_stop = t.kind == TOKEN_END && l->at < l->text.n;
        if (t.kind == TOKEN_END) {
            if (n && (trigger.inside ? !trigger.semicolon_end : body.depth > 0 && !at_stop))
                return unterminated_body(sp, from, err);
            if (n)
                add_statement(sp, &words, from, to);
            *ret_more = at_stop;
            l->at += at_stop ? l->stop.n : 0;
            return true;
        }
        if (n == 0 && mysql && token_is(l, &t, "delimiter"))
            return take_delimiter(l, &t, err);
        if (n == 0)
            from = t.offset;
        if (words.n < WORDS_MAX)
            words.tokens[words.n++] = t;
        if (mysql && n < WORDS_MAX && !body.routine)
            body.routine = words_make_routine(&words);
        if (!mysql && n < WORDS_MAX)
            trigger.inside = trigger.inside || makes_trigger(&words);
        if (body.routine && !l->stop.p)
            follow_body(&body, l, &t);
        bool ends = token_is_char(l, &t, ';') && !l->stop.p && body.depth <= 0;
        if (trigger.inside)
            ends = trigger_ends(&trigger, l, &t);
        if (!ends) {
            to = t.offset + t.length;
            continue;
        }
        if (n > 0)
            add_statement(sp, &words, from, to);
        return true;
    }
}

static bool
split_lexed(Splitter *sp, Error *err)
{
    Lexer lexer = {.options = *sp->options, .text = sp->text};
    for (bool more = true; more;) {
        if (!split_one(sp, &lexer, &more, err))
            return false;
    }
    return true;
}

bool
sql_split(Arena *arena, Str text, const SqlOptions *options, SqlStatements *ret, Error *err)
{
    Splitter sp = {.arena = arena, .text = text, .options = options, .line = 1};
    bool ok = options->dialect == SQL_POSTGRES ? split_postgres(&sp, err) : split_lexed(&sp, err);
    if (ok)
        *ret = sp.out;
    return ok;
}
