/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the content of Prisma's and Drizzle's files needs: the engine that they were made for, and
 * Drizzle's `--> statement-breakpoint` between statements.
 */

#include <string.h>

#include "migrate/formats.h"

#include "core/banned.h"

/* ---- the engine ---- */

static const struct {
    const char *provider;
    SqlDialect dialect;
} providers[] = {
    {"postgresql", SQL_POSTGRES}, {"cockroachdb", SQL_POSTGRES},
    {"pg", SQL_POSTGRES}, /* drizzle-kit before 0.21 */
    {"mysql", SQL_MYSQL},         {"sqlite", SQL_SQLITE},
    {"turso", SQL_SQLITE},
};

bool
provider_sections(LoadContext *ctx, Error *err)
{
    static const char *const engines[] = {
        [SQL_POSTGRES] = "PostgreSQL", [SQL_MYSQL] = "MySQL", [SQL_SQLITE] = "SQLite"};
    const Source *source = ctx->source;
    if (!source->provider)
        return true;
    for (size_t i = 0; i < COUNT_OF(providers); i++) {
        if (providers[i].dialect == ctx->options->dialect &&
            strcmp(providers[i].provider, source->provider) == 0)
            return true;
    }
    error_set(err, ERROR_USAGE,
              "'%s' says that these migrations are for %s, and the database is %s",
              source->provider_file, source->provider, engines[ctx->options->dialect]);
    return error_hint(err, "Check --url and --dir.");
}

/* ---- drizzle ---- */

bool
drizzle_split(Arena *arena, const SourceOptions *options, Script *script, Error *err)
{
    static const Str marker = {"--> statement-breakpoint", 24};
    Str body = script->body;
    SqlStatements list = {0};
    size_t line, column;
    script_position(script, 0, &line, &column);
    for (size_t at = 0; at <= body.n;) {
        size_t end = at + str_find_str(str_sub(body, at, body.n), marker);
        SqlStatements parts = {0};
        if (!script_split(arena, options, script, at, end, line, column, &parts, err))
            return false;
        for (size_t i = 0; i < parts.n; i++)
            *vec_push(arena, &list) = parts.p[i];
        size_t next = end + marker.n, down, right;
        if (next > body.n)
            break;
        str_position(str_sub(body, at, next), next - at, &down, &right);
        column = down == 1 ? column + right - 1 : right;
        line += down - 1;
        at = next;
    }
    script->statements = list;
    return true;
}
