/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats whose content needs little: plain, dbmate, tern, sqlx, diesel. Markers follow the
 * original tools to the letter; what they would read otherwise than it looks is refused.
 */

#include <string.h>

#include "migrate/formats.h"

#include "core/banned.h"

/* ---- plain ---- */

/* `-- lockstep: no-transaction` among the comment lines that begin the file. */
static bool
plain_directives(Script *script, Error *err)
{
    Line line;
    for (size_t at = 0; line_next(script->text, at, &line); at = line.next) {
        Str text = str_trim(line.text);
        if (text.n == 0)
            continue;
        if (!str_starts(text, STR("--")))
            return true;
        text = str_trim(str_sub(text, 2, text.n));
        if (!str_starts(text, STR("lockstep:")))
            continue;
        text = str_trim(str_sub(text, 9, text.n));
        if (str_eq(text, STR("reversible")))
            continue;
        if (!str_eq(text, STR("no-transaction"))) {
            load_fail(script, line.start, err, "unknown directive 'lockstep: " STR_FMT "'",
                      STR_ARG(text));
            return error_hint(
                err, "There are '-- lockstep: no-transaction' and '-- lockstep: reversible'.");
        }
        script->no_transaction = true;
    }
    return true;
}

bool
plain_sections(LoadContext *ctx, Error *err)
{
    return plain_directives(&ctx->m->up, err) &&
           (!ctx->m->has_down || plain_directives(&ctx->m->down, err));
}

/* ---- dbmate ---- */

typedef enum DbmateMarker { MARKER_NONE, MARKER_UP, MARKER_DOWN } DbmateMarker;

/* `--`, blanks, `migrate:up`, then the end or a blank: at the start of the line, lower case. */
static DbmateMarker
dbmate_marker(Str line, Str *ret_options)
{
    static const struct {
        Str word;
        DbmateMarker marker;
    } words[] = {{{"migrate:up", 10}, MARKER_UP}, {{"migrate:down", 12}, MARKER_DOWN}};
    if (!str_starts(line, STR("--")))
        return MARKER_NONE;
    Str rest = str_trim(str_sub(line, 2, line.n));
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        size_t n = words[i].word.n;
        if (str_starts(rest, words[i].word) &&
            (rest.n == n || rest.p[n] == ' ' || rest.p[n] == '\t')) {
            *ret_options = str_trim(str_sub(rest, n, rest.n));
            return words[i].marker;
        }
    }
    return MARKER_NONE;
}

static bool
dbmate_options(Script *script, Str options, size_t offset, Error *err)
{
    while (options.n > 0) {
        size_t n = 0;
        while (n < options.n && options.p[n] != ' ' && options.p[n] != '\t')
            n++;
        Str word = str_sub(options, 0, n);
        options = str_trim(str_sub(options, n, options.n));
        if (str_eq(word, STR("transaction:false"))) {
            script->no_transaction = true;
        } else if (str_find(word, ':') < word.n && !str_eq(word, STR("transaction:true"))) {
            load_fail(script, offset, err, "unknown option '" STR_FMT "' of a migrate: line",
                      STR_ARG(word));
            return error_hint(err, "The only one is transaction:true or transaction:false.");
        }
    }
    return true;
}

static bool
dbmate_refuse_second(const Script *script, size_t offset, const char *which, Error *err)
{
    load_fail(script, offset, err, "a second '-- migrate:%s' line", which);
    return error_hint(err, "Make a file of its own for the second section: one file is one "
                           "version.");
}

bool
dbmate_sections(LoadContext *ctx, Error *err)
{
    Script *up = &ctx->m->up, down = ctx->m->up;
    Line line;
    DbmateMarker seen = MARKER_NONE, marker;
    for (size_t at = 0; line_next(up->text, at, &line); at = line.next) {
        Str options = {0};
        marker = dbmate_marker(line.text, &options);
        Str text = str_trim(line.text);
        if (marker == MARKER_NONE && seen == MARKER_NONE && text.n > 0 &&
            !str_starts(text, STR("--"))) {
            load_fail(up, line.start, err, "SQL before the '-- migrate:up' line");
            return error_hint(err, "Begin the file with '-- migrate:up', at the start of a line "
                                   "and in lower case.");
        }
        if (marker == MARKER_UP) {
            if (seen != MARKER_NONE)
                return dbmate_refuse_second(up, line.start, "up", err);
            up->from = line.next;
            if (!dbmate_options(up, options, line.start, err))
                return false;
        } else if (marker == MARKER_DOWN) {
            if (seen == MARKER_NONE) {
                load_fail(up, line.start, err, "'-- migrate:down' stands before '-- migrate:up'");
                return error_hint(err, "The up section comes first.");
            }
            if (seen == MARKER_DOWN)
                return dbmate_refuse_second(up, line.start, "down", err);
            up->to = line.start;
            down.from = line.next;
            if (!dbmate_options(&down, options, line.start, err))
                return false;
        }
        seen = marker == MARKER_NONE ? seen : marker;
    }
    if (seen != MARKER_DOWN) {
        load_fail(up, 0, err, "'%s' has no '-- migrate:%s' line", up->file,
                  seen == MARKER_UP ? "down" : "up");
        return error_hint(err, "A file of dbmate has both lines, at the start of a line and in "
                               "lower case; the down section may be empty.");
    }
    up->body = str_sub(up->text, up->from, up->to);
    down.body = str_sub(down.text, down.from, down.to);
    ctx->m->down = down;
    ctx->m->has_down = true;
    return true;
}

/* ---- tern ---- */

static bool
tern_no_transaction(Script *script)
{
    Line line;
    for (size_t at = 0; line_next(script->body, at, &line); at = line.next) {
        if (str_eq(line.text, STR("---- tern: disable-tx ----")))
            return true;
    }
    return false;
}

bool
tern_sections(LoadContext *ctx, Error *err)
{
    Script *up = &ctx->m->up;
    static const Str separator = {"---- create above / drop below ----", 35};
    size_t braces = str_find_str(up->text, STR("{{"));
    if (braces < up->text.n) {
        load_fail(up, braces, err, "'%s' is a template", up->file);
        return error_hint(err, "lockstep runs plain SQL only: let tern itself run this directory "
                               "(--command 'tern migrate').");
    }
    size_t cut = str_find_str(up->text, separator);
    up->to = cut;
    up->body = str_sub(up->text, 0, cut);
    up->no_transaction = tern_no_transaction(up);
    if (str_trim(up->body).n == 0) {
        load_fail(up, 0, err, "'%s' has no SQL to apply", up->file);
        return error_hint(err, "Put SQL before the line '" STR_FMT "'.", STR_ARG(separator));
    }
    if (cut == up->text.n)
        return true;
    Script down = *up;
    down.from = cut + separator.n;
    down.to = down.text.n;
    down.body = str_sub(down.text, down.from, down.to);
    down.no_transaction = tern_no_transaction(&down);
    ctx->m->down = down;
    ctx->m->has_down = true;
    return true;
}

/* ---- sqlx ---- */

bool
sqlx_sections(LoadContext *ctx, Error *err UNUSED)
{
    ctx->m->up.no_transaction = str_starts(ctx->m->up.text, STR("-- no-transaction"));
    ctx->m->down.no_transaction = str_starts(ctx->m->down.text, STR("-- no-transaction"));
    return true;
}

static Str
with_line_ends(Arena *arena, Str text, Str end)
{
    StrBuf b = strbuf_new(arena, (size_t)2 * MIGRATION_CEILING + 1);
    for (size_t from = 0; from < text.n;) {
        const char *nl = memchr(text.p + from, '\n', text.n - from);
        size_t to = nl ? (size_t)(nl - text.p) : text.n;
        size_t next = nl ? to + 1 : to;
        if (nl && to > from && text.p[to - 1] == '\r')
            to--;
        strbuf_add(&b, str_sub(text, from, to));
        if (nl)
            strbuf_add(&b, end);
        from = next;
    }
    return b.n ? strbuf_str(&b) : STR("");
}

/* These tools hash raw bytes, so that a checkout with other line ends "changes" every file: values
 * that differ in nothing else are accepted too. */
void
raw_checksums(Arena *arena, HashKind kind, Str raw, Migration *m)
{
    m->tool_checksum = hash_hex(arena, kind, raw);
    m->tool_checksum_also[0] = hash_hex(arena, kind, with_line_ends(arena, raw, STR("\n")));
    m->tool_checksum_also[1] = hash_hex(arena, kind, with_line_ends(arena, raw, STR("\r\n")));
}

/* ---- diesel ---- */

/* metadata.toml: the one key that diesel knows. */
static bool
diesel_metadata(const LoadContext *ctx, bool *ret_transaction, Error *err)
{
    Str text;
    Line line;
    size_t number = 1;
    if (!fs_read(ctx->arena, ctx->m->conf_path, 64 * 1024, &text, err)) {
        err->code = ERROR_USAGE;
        return false;
    }
    for (size_t at = 0; line_next(text, at, &line); at = line.next, number++) {
        Str rest = str_trim(str_sub(line.text, 0, str_find(line.text, '#')));
        size_t eq = str_find(rest, '=');
        Str key = str_trim(str_sub(rest, 0, eq)), value = str_trim(str_sub(rest, eq + 1, rest.n));
        if (rest.n == 0)
            continue;
        bool is_true = str_eq(value, STR("true"));
        if (str_eq(key, STR("run_in_transaction")) && (is_true || str_eq(value, STR("false")))) {
            *ret_transaction = is_true;
            continue;
        }
        error_set(err, ERROR_USAGE, "'" STR_FMT "' is not understood", STR_ARG(rest));
        error_at(err, ctx->m->conf_path, number, 1);
        return error_hint(err, "A metadata.toml may say run_in_transaction = true or false.");
    }
    return true;
}

bool
diesel_sections(LoadContext *ctx, Error *err)
{
    bool transaction = true;
    if (ctx->m->conf_path && !diesel_metadata(ctx, &transaction, err))
        return false;
    ctx->m->up.no_transaction = ctx->m->down.no_transaction = !transaction;
    return true;
}
