/* SPDX-License-Identifier: Apache-2.0 */
/* Which database: URL variables, then discrete sets, in the order of core/env_database.h. */

#include "conf/database.h"

#include <string.h>

#include "core/env_database.h"
#include "core/banned.h"

typedef struct Picker {
    Arena *arena;
    char *const *environ_;
    StrBuf from;
} Picker;

static bool
pick(Picker *p, const char *const *names, Str *ret, Error *err)
{
    *ret = STR_ABSENT;
    for (size_t i = 0; i < 4 && names[i]; i++) {
        if (!env_secret(p->arena, p->environ_, names[i], ret, err))
            return false;
        if (!ret->p)
            continue;
        strbuf_printf(&p->from, "%s%s", p->from.n ? ", " : "", names[i]);
        return true;
    }
    return true;
}

/* Words that frameworks use for an engine, by what they contain. */
static const char *
engine_of(Arena *arena, Str word)
{
    static const struct {
        const char *part, *engine;
    } words[] = {{"postg", "postgres"}, {"pgsql", "postgres"},     {"psycopg", "postgres"},
                 {"pg", "postgres"},    {"cockroach", "postgres"}, {"mysql", "mysql"},
                 {"maria", "mysql"},    {"sqlite", "sqlite"}};
    char *lower = str_dup(arena, word);
    for (char *c = lower; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strstr(lower, words[i].part))
            return words[i].engine;
    }
    return NULL;
}

/* Somebody's DB_CONNECTION may hold a whole URL, and with it a password: that is not repeated. */
static bool
is_showable(Str word)
{
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '.' && c != '_' && c != '-')
            return false;
    }
    return word.n <= 64;
}

static bool
decide_engine(Arena *arena, DatabaseChoice *c, Str word, Error *err)
{
    if (word.p && !is_showable(word)) {
        error_set(err, ERROR_USAGE, "no engine is named by its variable (from %s)", c->from);
        return error_hint(err,
                          "Set DB_ENGINE to postgres, mysql or sqlite; a whole URL belongs into "
                          "DATABASE_URL.");
    }
    if (word.p) {
        c->engine = engine_of(arena, word);
        if (c->engine)
            return true;
        error_set(err, ERROR_USAGE, "unknown database engine '" STR_FMT "' (from %s)",
                  STR_ARG(word), c->from);
        return error_hint(err, "PostgreSQL, MySQL, MariaDB and SQLite are known.");
    }
    if (str_eq(c->port, STR("5432")))
        c->engine = "postgres";
    else if (str_eq(c->port, STR("3306")))
        c->engine = "mysql";
    return true;
}

bool
database_no_engine(Error *err)
{
    error_set(err, ERROR_USAGE, "DB_HOST names a server, and nothing says of which kind");
    return error_hint(err, "Set DB_ENGINE (postgres, mysql), or DB_PORT, or give a whole URL in "
                           "DATABASE_URL.");
}

static bool
is_present(Picker *p, const EnvDatabase *set, bool *ret, Error *err)
{
    *ret = false;
    for (size_t i = 0; i < COUNT_OF(set->present) && set->present[i] && !*ret; i++) {
        Str value;
        if (!env_secret(p->arena, p->environ_, set->present[i], &value, err))
            return false;
        *ret = value.p != NULL;
    }
    /* A name alone (DB_NAME) is a database only where something tells the server or the engine. */
    if (*ret && !set->engine) {
        Str host, engine;
        Picker quiet = {p->arena, p->environ_, strbuf_new(p->arena, 4096)};
        if (!pick(&quiet, set->names[PART_HOST], &host, err) ||
            !pick(&quiet, set->names[PART_ENGINE], &engine, err))
            return false;
        *ret = host.p || engine.p;
    }
    return true;
}

static bool
take_set(Picker *p, const EnvDatabase *set, DatabaseChoice *ret, Error *err)
{
    DatabaseChoice c = {.found = true, .is_parts = true, .engine = set->engine};
    Str engine = STR_ABSENT;
    if (!pick(p, set->names[PART_HOST], &c.host, err) ||
        !pick(p, set->names[PART_PORT], &c.port, err) ||
        !pick(p, set->names[PART_DATABASE], &c.database, err) ||
        !pick(p, set->names[PART_USER], &c.user, err) ||
        !pick(p, set->names[PART_PASSWORD], &c.password, err) ||
        !pick(p, set->names[PART_ENGINE], &engine, err))
        return false;
    if (!c.database.p && set->defaults_to_user)
        c.database = c.user;
    c.from = str_dup(p->arena, strbuf_str(&p->from));
    if (!set->engine && !decide_engine(p->arena, &c, engine, err))
        return false;
    if (c.engine && strcmp(c.engine, "sqlite") == 0 && !c.database.p) {
        error_set(err, ERROR_USAGE, "an SQLite database without a name (from %s)", c.from);
        return error_hint(err, "Set DB_NAME to the path of the file.");
    }
    *ret = c;
    return true;
}

bool
database_choose(
    Arena *arena, const Settings *settings, char *const *environ_, DatabaseChoice *ret, Error *err)
{
    const SettingValue *given = &settings->values[SET_URL];
    if (given->text) {
        *ret = (DatabaseChoice){.found = true, .url = str_of(given->text), .from = given->origin};
        return true;
    }
    for (size_t i = 0; i < ENV_DATABASE_URLS; i++) {
        Str value;
        if (!env_secret(arena, environ_, env_database_urls[i], &value, err))
            return false;
        if (value.p) {
            *ret = (DatabaseChoice){
                .found = true, .url = value, .from = str_dup(arena, str_of(env_database_urls[i]))};
            return true;
        }
    }
    for (size_t i = 0; i < ENV_DATABASE_SETS; i++) {
        Picker p = {arena, environ_, strbuf_new(arena, 4096)};
        bool present;
        if (!is_present(&p, &env_databases[i], &present, err))
            return false;
        if (present)
            return take_set(&p, &env_databases[i], ret, err);
    }
    *ret = (DatabaseChoice){0};
    return true;
}
