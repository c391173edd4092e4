/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of one migration: read, checked (UTF-8, NUL, markers of another format), hashed, cut into
 * its sections, split into statements. Every complaint names file, line and column.
 */

#include "migrate/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "migrate/formats.h"

#include "core/banned.h"

/* ---- positions ---- */

void
script_position(const Script *script, size_t body_offset, size_t *ret_line, size_t *ret_column)
{
    if (!script->rewritten) {
        str_position(script->text, script->from + body_offset, ret_line, ret_column);
        return;
    }
    size_t line, column;
    str_position(script->text, script->from, &line, &column);
    str_position(script->body, body_offset, ret_line, ret_column);
    *ret_line += line - 1;
}

bool
load_fail(const Script *script, size_t text_offset, Error *err, const char *fmt, ...)
{
    char message[sizeof(err->message)];
    size_t line, column;
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    str_position(script->text, text_offset, &line, &column);
    error_set(err, ERROR_USAGE, "%s", message);
    return error_at(err, script->file, line, column);
}

/* ---- reading ---- */

static bool
check_text(const Script *script, Error *err)
{
    size_t offset;
    if (!str_is_utf8(script->text, &offset)) {
        load_fail(script, offset, err, "'%s' is not valid UTF-8", script->file);
        return error_hint(err, "Save the file as UTF-8.");
    }
    offset = str_find(script->text, '\0');
    if (offset < script->text.n) {
        load_fail(script, offset, err, "'%s' holds a NUL byte", script->file);
        return error_hint(err, "It is no text file, or was saved as UTF-16: save it as UTF-8.");
    }
    return true;
}

/* A file that belongs to another format than its directory: found here, because a scan does not
 * open every file. */
static bool
check_marker(const LoadContext *ctx, const Script *script, Error *err)
{
    size_t offset;
    FormatId marker = format_marker(script->text, &offset);
    if (marker == FORMAT_COUNT || marker == ctx->source->format)
        return true;
    const char *other = NULL;
    for (size_t i = 0; i < ctx->source->migrations.n && !other; i++) {
        const char *path = ctx->source->migrations.p[i].path;
        other = strcmp(path, script->file) == 0 ? NULL : path;
    }
    if (other)
        load_fail(script, offset, err,
                  "'%s' is a directory of two formats: '%s' has a marker of %s, '%s' is %s",
                  ctx->source->dir, script->file, format_name(marker), other,
                  ctx->source->format_name);
    else
        load_fail(script, offset, err, "'%s' has a marker of %s, but is read as %s", script->file,
                  format_name(marker), ctx->source->format_name);
    return error_hint(err,
                      "Keep one format in a directory: move the files of the other one out, or "
                      "name the format with --format.");
}

/* `ret_raw`: with the byte order mark. */
static bool
read_script(const LoadContext *ctx, const char *path, Script *ret, Str *ret_raw, Error *err)
{
    Script script = {.file = path};
    if (!fs_read(ctx->arena, path, MIGRATION_CEILING, ret_raw, err)) {
        err->code = ERROR_USAGE;
        return error_hint(err, "Every migration must be readable before anything is run.");
    }
    script.text = *ret_raw;
    if (str_starts(script.text, STR("\xef\xbb\xbf")))
        script.text = str_sub(script.text, 3, script.text.n);
    script.to = script.text.n;
    script.body = script.text;
    *ret = script;
    return true;
}

static bool
read_up(LoadContext *ctx, Error *err)
{
    Migration *m = ctx->m;
    Str raw = STR("");
    m->up = (Script){.file = m->path, .text = raw, .body = raw};
    if (m->has_up && !read_script(ctx, m->path, &m->up, &raw, err))
        return false;
    m->checksum = hash_text_hex(ctx->arena, m->up.text);
    FormatId format = ctx->source->format;
    if (format == FORMAT_SQLX)
        raw_checksums(ctx->arena, HASH_SHA384, raw, m);
    else if (format == FORMAT_PRISMA || format == FORMAT_DRIZZLE)
        raw_checksums(ctx->arena, HASH_SHA256, raw, m);
    return format != FORMAT_FLYWAY || flyway_checksums(ctx, err);
}

/* ---- splitting ---- */

bool
script_split(Arena *arena,
             const SourceOptions *options,
             const Script *script,
             size_t from,
             size_t to,
             size_t line,
             size_t column,
             SqlStatements *ret,
             Error *err)
{
    SqlStatements list = {0};
    SqlOptions sql = {
        .dialect = options->dialect, .facts = true, .server_major = options->server_major};
    if (!sql_split(arena, str_sub(script->body, from, to), &sql, &list, err)) {
        size_t at = err->line ? err->line : 1;
        error_at(err, script->file, line + at - 1,
                 at == 1 ? column + err->column - 1 : err->column);
        if (err->sql_offset >= 0)
            err->sql_offset += (int64_t)from;
        return false;
    }
    for (size_t i = 0; i < list.n; i++) {
        SqlStatement *s = &list.p[i];
        if (s->line == 1)
            s->column += column - 1;
        s->line += line - 1;
        s->offset += from;
        if (s->copy_from_stdin) {
            error_set(err, ERROR_USAGE, "COPY FROM STDIN cannot be run from a migration file");
            error_at(err, script->file, s->line, s->column);
            return error_hint(err, "Write the rows as INSERT, or load them with another tool.");
        }
    }
    *ret = list;
    return true;
}

static bool
split(const LoadContext *ctx, Script *script, Error *err)
{
    size_t line = 1, column = 1;
    if (script->body.n > 0 && ctx->source->format == FORMAT_GOOSE) {
        if (!goose_split(ctx->arena, ctx->options, script, err))
            return false;
    } else if (script->body.n > 0 && ctx->source->format == FORMAT_DRIZZLE) {
        if (!drizzle_split(ctx->arena, ctx->options, script, err))
            return false;
    } else if (script->body.n > 0) {
        script_position(script, 0, &line, &column);
        if (!script_split(ctx->arena, ctx->options, script, 0, script->body.n, line, column,
                          &script->statements, err))
            return false;
    }
    script->loaded = true;
    return true;
}

static bool
split_down(const LoadContext *ctx, Script *script, Error *err)
{
    if (split(ctx, script, err))
        return true;
    if (ctx->options->undo)
        return false;
    error_clear(err);
    SqlStatement whole = {.length = script->body.n};
    script_position(script, 0, &whole.line, &whole.column);
    script->statements = (SqlStatements){0};
    *vec_push(ctx->arena, &script->statements) = whole;
    script->loaded = true;
    return true;
}

/* ---- loading ---- */

/* In any format, on a line of its own: its author has thought of what was written since. */
static bool
says_reversible(Str text)
{
    Line line;
    for (size_t at = 0; line_next(text, at, &line); at = line.next)
        if (str_eq(str_trim(line.text), STR("-- lockstep: reversible")))
            return true;
    return false;
}

bool
migration_load(
    Arena *arena, const Source *source, Migration *m, const SourceOptions *options, Error *err)
{
    if (m->loaded)
        return true;
    Migration next = *m;
    LoadContext ctx = {.arena = arena, .options = options, .source = source, .m = &next};
    const Format *format = format_row(source->format);
    if (!read_up(&ctx, err) || !check_text(&next.up, err) || !check_marker(&ctx, &next.up, err))
        return false;
    if (next.down_path) {
        Str raw;
        if (!read_script(&ctx, next.down_path, &next.down, &raw, err) ||
            !check_text(&next.down, err) || !check_marker(&ctx, &next.down, err))
            return false;
        next.has_down = true;
    }
    next.reversible =
        says_reversible(next.up.text) || (next.down_path && says_reversible(next.down.text));
    if (format->sections && !format->sections(&ctx, err))
        return false;
    if (!split(&ctx, &next.up, err) || (next.has_down && !split_down(&ctx, &next.down, err)))
        return false;
    next.loaded = true;
    *m = next;
    return true;
}

bool
migration_hash(
    Arena *arena, const Source *source, Migration *m, const SourceOptions *options, Error *err)
{
    if (m->checksum)
        return true;
    SCRATCH_ARENA(scratch);
    Migration next = *m;
    LoadContext ctx = {.arena = scratch, .options = options, .source = source, .m = &next};
    if (!read_up(&ctx, err))
        return false;
    m->checksum = str_dup(arena, str_of(next.checksum));
    m->tool_checksum = str_dup(arena, str_of(next.tool_checksum));
    for (size_t i = 0; i < COUNT_OF(m->tool_checksum_also); i++)
        m->tool_checksum_also[i] = str_dup(arena, str_of(next.tool_checksum_also[i]));
    return true;
}
