/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goose: annotations, ENVSUB, and its own rule for where a statement ends (by line, blind to quotes
 * and `$$`). The rule is kept, because a file means what goose makes of it: a function body outside
 * StatementBegin is cut, and refused here before the database sees half of it.
 */

#include <string.h>

#include "migrate/formats.h"

#include "core/banned.h"

enum {
    ENVSUB_CEILING = 2 * MIGRATION_CEILING,
    ENVSUB_DEPTH_MAX = 8, /* ${A:-${B:-...}} */
};

typedef enum Annotation {
    ANNOTATION_NONE,
    ANNOTATION_UP,
    ANNOTATION_DOWN,
    ANNOTATION_BEGIN,
    ANNOTATION_END,
    ANNOTATION_NO_TRANSACTION,
    ANNOTATION_ENVSUB_ON,
    ANNOTATION_ENVSUB_OFF,
    ANNOTATION_UNKNOWN,
} Annotation;

/* ---- annotations ---- */

static Annotation
annotation_of(Str line)
{
    static const char *const words[] = {
        [ANNOTATION_UP] = "Up",
        [ANNOTATION_DOWN] = "Down",
        [ANNOTATION_BEGIN] = "StatementBegin",
        [ANNOTATION_END] = "StatementEnd",
        [ANNOTATION_NO_TRANSACTION] = "NO TRANSACTION",
        [ANNOTATION_ENVSUB_ON] = "ENVSUB ON",
        [ANNOTATION_ENVSUB_OFF] = "ENVSUB OFF",
    };
    Str text = str_trim(line);
    if (!str_starts(text, STR("--")))
        return ANNOTATION_NONE;
    text = str_trim(str_sub(text, 2, text.n));
    if (!str_eq_nocase(str_sub(text, 0, 6), STR("+goose")))
        return ANNOTATION_NONE;
    text = str_trim(str_sub(text, 6, text.n));
    for (size_t i = ANNOTATION_UP; i < COUNT_OF(words); i++) {
        if (str_eq_nocase(text, str_of(words[i])))
            return (Annotation)i;
    }
    return ANNOTATION_UNKNOWN;
}

typedef struct GooseFile {
    Script *script;
    size_t up_from, up_to, down_from;
    bool has_up, has_down, in_block, no_transaction;
    bool envsub, envsub_used;    /* on at this line; ever on */
    bool envsub_up, envsub_down; /* on where the section begins */
} GooseFile;

static bool
refuse(const Script *script, size_t offset, Error *err, const char *what, const char *hint)
{
    load_fail(script, offset, err, "%s", what);
    return error_hint(err, "%s", hint);
}

static bool
note_annotation(GooseFile *f, Annotation a, const Line *line, Error *err)
{
    const Script *s = f->script;
    if (a == ANNOTATION_UNKNOWN)
        return refuse(s, line->start, err, "unknown annotation of goose",
                      "Known are Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON "
                      "and ENVSUB OFF.");
    if (line->text.p[0] != '-')
        return refuse(s, line->start, err, "an annotation of goose is indented",
                      "Put '-- +goose' at the start of the line.");
    if (f->in_block && (a == ANNOTATION_UP || a == ANNOTATION_DOWN || a == ANNOTATION_BEGIN))
        return refuse(s, line->start, err, "StatementBegin without StatementEnd before this line",
                      "Close it with '-- +goose StatementEnd'.");
    switch (a) {
    case ANNOTATION_UP:
        if (f->has_up)
            return refuse(s, line->start, err, "a second '-- +goose Up'",
                          "A file has one Up section, and it comes first.");
        f->has_up = true;
        f->up_from = line->next;
        f->envsub_up = f->envsub;
        return true;
    case ANNOTATION_DOWN:
        if (!f->has_up || f->has_down)
            return refuse(s, line->start, err,
                          f->has_up ? "a second '-- +goose Down'"
                                    : "'-- +goose Down' stands before '-- +goose Up'",
                          "A file has one Up section, then at most one Down section.");
        f->has_down = true;
        f->up_to = line->start;
        f->down_from = line->next;
        f->envsub_down = f->envsub;
        return true;
    case ANNOTATION_BEGIN:
    case ANNOTATION_END:
        if (!f->has_up || f->in_block == (a == ANNOTATION_BEGIN))
            return refuse(s, line->start, err,
                          f->has_up ? "StatementEnd without StatementBegin"
                                    : "a statement before '-- +goose Up'",
                          "Each '-- +goose StatementBegin' in a section has its StatementEnd.");
        f->in_block = a == ANNOTATION_BEGIN;
        return true;
    case ANNOTATION_NO_TRANSACTION:
        f->no_transaction = true;
        return true;
    case ANNOTATION_ENVSUB_ON:
    case ANNOTATION_ENVSUB_OFF:
        f->envsub = a == ANNOTATION_ENVSUB_ON;
        f->envsub_used |= f->envsub;
        return true;
    case ANNOTATION_NONE:
    case ANNOTATION_UNKNOWN:
        break;
    }
    return true;
}

/* ---- ENVSUB ---- */

typedef struct Envsub {
    const LoadContext *ctx;
    const Script *script;
    size_t line_start; /* in the file, for complaints */
    StrBuf out;
} Envsub;

static bool
is_name_char(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
}

static const char *
lookup(const Envsub *e, Str name)
{
    const SourceOptions *o = e->ctx->options;
    return o->env ? o->env(o->env_ctx, str_dup(e->ctx->arena, name)) : NULL;
}

/* The end of a name that begins at `at`, or `at`. */
static size_t
name_end(Str s, size_t at)
{
    size_t end = at;
    while (end < s.n && is_name_char(s.p[end], end == at))
        end++;
    return end;
}

static bool envsub_text(Envsub *e, Str text, int depth, Error *err);

/* What stands between `${` and `}`: NAME, NAME:-default, NAME-default, NAME?message, NAME:?message.
 * The colon makes an empty value count as unset. */
static bool
envsub_braces(Envsub *e, Str inside, int depth, Error *err)
{
    size_t end = name_end(inside, 0);
    Str name = str_sub(inside, 0, end), rest = str_sub(inside, end, inside.n);
    bool colon = rest.n > 1 && rest.p[0] == ':';
    if (colon)
        rest = str_sub(rest, 1, rest.n);
    char op = rest.n > 0 ? rest.p[0] : '\0';
    if (name.n == 0 || (rest.n > 0 && op != '-' && op != '?')) {
        load_fail(e->script, e->line_start, err, "'${" STR_FMT "}' is not understood",
                  STR_ARG(inside));
        return error_hint(err, "Known are ${V}, ${V:-default}, ${V-default}, ${V?message}; switch "
                               "replacement off with '-- +goose ENVSUB OFF'.");
    }
    const char *value = lookup(e, name);
    if (value && (!colon || value[0])) {
        strbuf_puts(&e->out, value);
        return true;
    }
    if (op == '-')
        return envsub_text(e, str_sub(rest, 1, rest.n), depth + 1, err);
    if (op != '?')
        return true;
    load_fail(e->script, e->line_start, err, "the variable '" STR_FMT "' is not set: " STR_FMT,
              STR_ARG(name), STR_ARG(str_sub(rest, 1, rest.n)));
    return error_hint(err, "Set it in the environment of lockstep.");
}

static bool
envsub_text(Envsub *e, Str text, int depth, Error *err)
{
    if (depth > ENVSUB_DEPTH_MAX || e->out.n > MIGRATION_CEILING)
        return load_fail(e->script, e->line_start, err, "the variables nest or grow too far");
    for (size_t at = 0; at < text.n;) {
        char c = text.p[at], next = at + 1 < text.n ? text.p[at + 1] : '\0';
        size_t end = name_end(text, at + 1);
        if ((c == '$' || c == '\\') && next == '$') { /* escaped */
            strbuf_addc(&e->out, '$');
            at += 2;
        } else if (c == '$' && next == '{') {
            int level = 0;
            for (end = at + 1; end < text.n; end++) {
                level += text.p[end] == '{' ? 1 : text.p[end] == '}' ? -1 : 0;
                if (level == 0)
                    break;
            }
            if (end == text.n)
                return load_fail(e->script, e->line_start, err, "'${' without '}' on this line");
            if (!envsub_braces(e, str_sub(text, at + 2, end), depth, err))
                return false;
            at = end + 1;
        } else if (c == '$' && end > at + 1) {
            const char *value = lookup(e, str_sub(text, at + 1, end));
            strbuf_puts(&e->out, value ? value : "");
            at = end;
        } else {
            strbuf_addc(&e->out, c);
            at++;
        }
    }
    return true;
}

/* A section with the variables put in. Annotations stay: the splitter looks for them. */
static bool
envsub_section(const LoadContext *ctx, Script *script, bool on, Error *err)
{
    Envsub e = {.ctx = ctx, .script = script, .out = strbuf_new(ctx->arena, ENVSUB_CEILING)};
    Str text = script->text;
    Line line;
    for (size_t at = script->from; at < script->to && line_next(text, at, &line); at = line.next) {
        Annotation a = annotation_of(line.text);
        if (a == ANNOTATION_ENVSUB_ON || a == ANNOTATION_ENVSUB_OFF)
            on = a == ANNOTATION_ENVSUB_ON;
        e.line_start = line.start;
        Str whole = str_sub(text, line.start, line.next);
        if (!on || str_starts(str_trim(line.text), STR("--")))
            strbuf_add(&e.out, whole);
        else if (!envsub_text(&e, whole, 0, err))
            return false;
    }
    script->body = e.out.n ? strbuf_str(&e.out) : STR("");
    script->rewritten = true;
    return true;
}

/* ---- sections ---- */

bool
goose_sections(LoadContext *ctx, Error *err)
{
    Script *up = &ctx->m->up;
    GooseFile f = {.script = up, .up_to = up->text.n};
    Line line;
    for (size_t at = 0; line_next(up->text, at, &line); at = line.next) {
        Annotation a = annotation_of(line.text);
        if (a != ANNOTATION_NONE && !note_annotation(&f, a, &line, err))
            return false;
    }
    if (f.in_block)
        return refuse(up, up->text.n, err, "StatementBegin without StatementEnd",
                      "Close it with '-- +goose StatementEnd'.");
    if (!f.has_up)
        return refuse(up, 0, err, "no '-- +goose Up' in the file",
                      "Begin the file with '-- +goose Up', at the start of a line.");
    up->no_transaction = f.no_transaction;
    Script down = *up;
    up->from = f.up_from;
    up->to = f.up_to;
    up->body = str_sub(up->text, up->from, up->to);
    if (f.envsub_used && !envsub_section(ctx, up, f.envsub_up, err))
        return false;
    if (!f.has_down)
        return true;
    down.from = f.down_from;
    down.body = str_sub(down.text, down.from, down.to);
    if (f.envsub_used && !envsub_section(ctx, &down, f.envsub_down, err))
        return false;
    ctx->m->down = down;
    ctx->m->has_down = true;
    return true;
}

/* ---- statements ---- */

/* The last word before a word that begins with `--` ends in `;`. */
static bool
ends_statement(Str line)
{
    bool semicolon = false;
    for (size_t at = 0; at < line.n;) {
        while (at < line.n && strchr(" \t\v\f\r", line.p[at]))
            at++;
        size_t end = at;
        while (end < line.n && !strchr(" \t\v\f\r", line.p[end]))
            end++;
        if (end == at || str_starts(str_sub(line, at, end), STR("--")))
            break;
        semicolon = line.p[end - 1] == ';';
        at = end;
    }
    return semicolon;
}

/* Goose sends a chunk in one call, whatever is in it: one statement here too, with the facts that
 * ask for the most care. */
static SqlStatement
merge(const SqlStatements *list)
{
    static const int care[] = {
        [SQL_KIND_DML] = 0,    [SQL_KIND_SESSION] = 1,   [SQL_KIND_OTHER] = 2,
        [SQL_KIND_DDL] = 3,    [SQL_KIND_SAVEPOINT] = 4, [SQL_KIND_BEGIN] = 5,
        [SQL_KIND_COMMIT] = 5, [SQL_KIND_ROLLBACK] = 5,
    };
    SqlStatement all = list->p[0];
    const SqlStatement *last = &list->p[list->n - 1];
    for (size_t i = 1; i < list->n; i++) {
        const SqlStatement *s = &list->p[i];
        if (care[s->kind] > care[all.kind])
            all.kind = s->kind;
        all.no_transaction |= s->no_transaction;
        all.waits_quietly &= s->waits_quietly;
        all.concurrent_index |= s->concurrent_index;
    }
    if (list->n > 1) {
        all.length = last->offset + last->length - all.offset;
        all.object = SQL_OBJECT_NONE;
        all.object_schema = all.object_name = all.object_new_name = STR_ABSENT;
        all.creates = all.drops = false;
    }
    return all;
}

typedef struct GooseSplit {
    Arena *arena;
    const SourceOptions *options;
    Script *script;
    size_t chunk, chunk_line; /* start of the open chunk, SIZE_MAX = none */
    SqlStatements list;
} GooseSplit;

static bool
end_chunk(GooseSplit *g, size_t end, Error *err)
{
    SqlStatements parts = {0};
    if (!script_split(g->arena, g->options, g->script, g->chunk, end, g->chunk_line, 1, &parts,
                      err)) {
        if (!err->hint[0])
            error_hint(err, "goose ends a statement at a line that ends in ';': put a function "
                            "body between '-- +goose StatementBegin' and StatementEnd.");
        return false;
    }
    /* MySQL takes one statement a call; elsewhere a chunk goes as goose sends it. */
    bool one_by_one = g->options->dialect == SQL_MYSQL;
    for (size_t i = 0; one_by_one && i < parts.n; i++)
        *vec_push(g->arena, &g->list) = parts.p[i];
    if (!one_by_one && parts.n > 0)
        *vec_push(g->arena, &g->list) = merge(&parts);
    g->chunk = SIZE_MAX;
    return true;
}

static bool
no_open_chunk(const GooseSplit *g, size_t end, Error *err)
{
    Str rest = str_sub(g->script->body, g->chunk, end);
    if (g->chunk == SIZE_MAX || sql_is_blank(g->options->dialect, rest))
        return true;
    size_t line, column;
    script_position(g->script, g->chunk, &line, &column);
    error_set(err, ERROR_USAGE, "the statement has no ';' at the end of its last line");
    error_at(err, g->script->file, line, column);
    return error_hint(err, "End it with ';', or put it between '-- +goose StatementBegin' and "
                           "StatementEnd.");
}

bool
goose_split(Arena *arena, const SourceOptions *options, Script *script, Error *err)
{
    GooseSplit g = {.arena = arena, .options = options, .script = script, .chunk = SIZE_MAX};
    size_t number, column;
    bool in_block = false;
    Line line;
    script_position(script, 0, &number, &column);
    for (size_t at = 0; line_next(script->body, at, &line); at = line.next, number++) {
        Annotation a = annotation_of(line.text);
        if (a == ANNOTATION_BEGIN) {
            if (!no_open_chunk(&g, line.start, err))
                return false;
            in_block = true;
            g.chunk = line.next;
            g.chunk_line = number + 1;
        } else if (a == ANNOTATION_END) {
            in_block = false;
            if (!end_chunk(&g, line.start, err))
                return false;
        } else if (a == ANNOTATION_NONE && !in_block) {
            Str text = str_trim(line.text);
            if (g.chunk == SIZE_MAX && (text.n == 0 || str_starts(text, STR("--"))))
                continue;
            if (g.chunk == SIZE_MAX) {
                g.chunk = line.start;
                g.chunk_line = number;
            }
            if (ends_statement(line.text) && !end_chunk(&g, line.next, err))
                return false;
        }
    }
    if (!no_open_chunk(&g, script->body.n, err))
        return false;
    script->statements = g.list;
    return true;
}
