/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flyway: names, the checksum by lines, placeholders and NAME.sql.conf.
 */

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/hash.h"
#include "migrate/formats.h"

#include "core/banned.h"

enum { BODY_CEILING = 2 * MIGRATION_CEILING };

/* ---- names ---- */

/* `1`, `1.2`, `1_2`: digits with single separators between. */
static bool
is_version(Str s)
{
    bool digit = false;
    for (size_t i = 0; i < s.n; i++) {
        bool is_digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!is_digit && !(digit && (s.p[i] == '.' || s.p[i] == '_')))
            return false;
        digit = is_digit;
    }
    return digit;
}

bool
format_is_flyway_name(Str name)
{
    if (str_starts(name, STR("R__")))
        return true;
    return name.n > 1 && memchr("VUB", name.p[0], 3) &&
           is_version(str_sub(name, 1, str_find_str(name, STR("__")))) &&
           str_find_str(name, STR("__")) < name.n;
}

static NameParts
flyway_bad(const char *problem, const char *hint)
{
    return (NameParts){.kind = NAME_BAD, .problem = problem, .hint = hint};
}

static bool
is_callback(Str name)
{
    static const Str heads[] = {{"before", 6}, {"after", 5}};
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        if (str_starts(name, heads[i]) && name.n > heads[i].n && name.p[heads[i].n] >= 'A' &&
            name.p[heads[i].n] <= 'Z')
            return true;
    }
    return str_starts(name, STR("createSchema."));
}

NameParts
flyway_parse_name(Str name)
{
    bool sql = str_ends(name, STR(".sql"));
    if (str_ends(name, STR(".java")) || str_ends(name, STR(".class")))
        return !format_is_flyway_name(name)
                   ? (NameParts){.kind = NAME_IGNORED}
                   : flyway_bad("is a migration written in Java, which only Flyway can run",
                                "Let Flyway migrate (--tool flyway), or rewrite it in SQL.");
    if (!sql)
        return (NameParts){.kind = NAME_IGNORED};
    if (is_callback(name))
        return flyway_bad("is a callback of Flyway, and lockstep does not run these",
                          "Let Flyway migrate (--tool flyway), or make it an R__ migration.");
    if (!format_is_flyway_name(name))
        return flyway_bad("is not named like a migration of Flyway, which would skip it",
                          "Rename it to V1__name.sql or R__name.sql, or move it out of the "
                          "directory.");
    if (name.p[0] == 'B')
        return flyway_bad("is a baseline migration, and lockstep does not run these",
                          "Use 'lockstep baseline' on an existing database; move the file out of "
                          "the directory.");
    size_t gap = str_find_str(name, STR("__"));
    NameParts parts = {.kind = NAME_UP,
                       .version = str_sub(name, 1, gap),
                       .description = str_sub(name, gap + 2, name.n - 4)};
    if (parts.description.n == 0)
        return flyway_bad("has no name after '__'", "Rename it to V1__name.sql.");
    if (name.p[0] == 'R')
        parts.kind = NAME_REPEATABLE;
    else if (name.p[0] == 'U')
        parts.kind = NAME_DOWN;
    return parts;
}

/* ---- checksum ---- */

/* CRC32 over the lines without their ends (CR, LF, CRLF), as a signed number. */
static char *
checksum(Arena *arena, Str text)
{
    uint32_t crc = 0;
    for (size_t from = 0, at = 0; at <= text.n; at++) {
        if (at < text.n && text.p[at] != '\n' && text.p[at] != '\r')
            continue;
        if (at > from)
            crc = hash_crc32(crc, str_sub(text, from, at));
        from = at + 1;
    }
    return str_printf(arena, "%d", (int32_t)crc);
}

/* ---- placeholders ---- */

static bool
value_of(const LoadContext *ctx, const Script *script, Str name, Str *ret)
{
    for (const char *const *p = ctx->options->placeholders; p && p[0] && p[1]; p += 2) {
        if (str_eq_nocase(str_of(p[0]), name)) {
            *ret = str_of(p[1]);
            return true;
        }
    }
    if (str_eq_nocase(name, STR("flyway:filename"))) {
        const char *slash = strrchr(script->file, '/');
        *ret = str_of(slash ? slash + 1 : script->file);
        return true;
    }
    if (str_eq_nocase(name, STR("flyway:timestamp"))) {
        char *now = clock_rfc3339(ctx->arena);
        now[10] = ' ';
        *ret = str_sub(str_of(now), 0, 19);
        return true;
    }
    return false;
}

/* Replaces ${name} everywhere, comments and literals included, as Flyway does. */
static bool
replace(const LoadContext *ctx, Script *script, Error *err)
{
    StrBuf out = strbuf_new(ctx->arena, BODY_CEILING);
    Str text = script->text;
    size_t at = 0;
    bool any = false;
    while (at < text.n) {
        Str rest = str_sub(text, at, text.n), value;
        size_t open = str_find_str(rest, STR("${")), close = open;
        while (close < rest.n && rest.p[close] != '}' && rest.p[close] != '\n')
            close++;
        if (open == rest.n || close == rest.n || rest.p[close] == '\n') {
            /* No placeholder on this line: keep what was looked at. */
            size_t keep = open == rest.n ? rest.n : open + 2;
            strbuf_add(&out, str_sub(rest, 0, keep));
            at += keep;
            continue;
        }
        Str name = str_sub(rest, open + 2, close);
        if (!value_of(ctx, script, name, &value)) {
            load_fail(script, at + open, err, "no value for the placeholder '${" STR_FMT "}'",
                      STR_ARG(name));
            return error_hint(err,
                              "Set FLYWAY_PLACEHOLDERS_" STR_FMT ", or switch replacement off "
                              "with placeholderReplacement=false in '%s.conf'.",
                              STR_ARG(name), script->file);
        }
        strbuf_add(&out, str_sub(rest, 0, open));
        strbuf_add(&out, value);
        if (out.n > MIGRATION_CEILING)
            return load_fail(script, at + open, err, "the placeholders make '%s' too big",
                             script->file);
        any = true;
        at += close + 1;
    }
    if (any) {
        script->body = out.n ? strbuf_str(&out) : STR("");
        script->rewritten = true;
    }
    return true;
}

/* ---- NAME.sql.conf ---- */

typedef struct Conf {
    bool transaction, placeholders;
} Conf;

static bool
conf_line(Str key, Str value, Conf *conf)
{
    bool on;
    if (str_eq_nocase(key, STR("encoding")))
        return str_eq_nocase(value, STR("UTF-8"));
    if (!str_to_bool(value, &on))
        return false;
    if (str_eq_nocase(key, STR("executeInTransaction")))
        conf->transaction = on;
    else if (str_eq_nocase(key, STR("placeholderReplacement")))
        conf->placeholders = on;
    else
        return str_eq_nocase(key, STR("shouldExecute")) && on;
    return true;
}

static bool
read_conf(const LoadContext *ctx, Conf *ret, Error *err)
{
    Str text;
    Line line;
    size_t number = 1;
    *ret = (Conf){.transaction = true, .placeholders = !ctx->options->placeholders_off};
    if (!ctx->m->conf_path)
        return true;
    if (!fs_read(ctx->arena, ctx->m->conf_path, 64 * 1024, &text, err)) {
        err->code = ERROR_USAGE;
        return false;
    }
    for (size_t at = 0; line_next(text, at, &line); at = line.next, number++) {
        Str rest = str_trim(line.text);
        size_t eq = str_find(rest, '=');
        if (rest.n == 0 || rest.p[0] == '#')
            continue;
        if (conf_line(str_trim(str_sub(rest, 0, eq)), str_trim(str_sub(rest, eq + 1, rest.n)), ret))
            continue;
        error_set(err, ERROR_USAGE, "'" STR_FMT "' is not supported", STR_ARG(rest));
        error_at(err, ctx->m->conf_path, number, 1);
        return error_hint(err, "Known are executeInTransaction, placeholderReplacement, "
                               "encoding=UTF-8 and shouldExecute=true.");
    }
    return true;
}

/* ---- content ---- */

bool
flyway_checksums(LoadContext *ctx, Error *err)
{
    Migration *m = ctx->m;
    Conf conf;
    m->tool_checksum = checksum(ctx->arena, m->up.text);
    if (!m->repeatable)
        return true;
    /* A repeatable counts with its values in: another value runs it again. */
    Script script = m->up;
    if (!read_conf(ctx, &conf, err) || (conf.placeholders && !replace(ctx, &script, err)))
        return false;
    m->tool_checksum_also[0] = m->tool_checksum;
    m->tool_checksum = checksum(ctx->arena, script.body);
    return true;
}

bool
flyway_sections(LoadContext *ctx, Error *err)
{
    Migration *m = ctx->m;
    Conf conf;
    if (!read_conf(ctx, &conf, err))
        return false;
    m->up.no_transaction = !conf.transaction;
    if (!conf.placeholders)
        return true;
    return replace(ctx, &m->up, err) && (!m->has_down || replace(ctx, &m->down, err));
}
