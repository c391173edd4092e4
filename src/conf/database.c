/* SPDX-License-Identifier: Apache-2.0 */
/* Which database: one table of URL variables and one of discrete sets, in the order of contract 3.
 */

#include "conf/database.h"

#include <string.h>

#include "core/banned.h"

/* A direct connection before a pooled one: session locks do not hold through a pooler. */
static const char *const url_variables[] = {
    "DIRECT_URL",
    "DATABASE_URL_UNPOOLED",
    "POSTGRES_URL_NON_POOLING",
    "DATABASE_URL",
    "POSTGRES_URL",
    "MYSQL_URL",
    "SQLALCHEMY_DATABASE_URI",
    "JDBC_DATABASE_URL",
};

/* PART_ENGINE: where `engine` is not NULL it decides nothing, but is told as where it came from. */
enum { PART_HOST, PART_PORT, PART_DATABASE, PART_USER, PART_PASSWORD, PART_ENGINE, PART_COUNT };

typedef struct PartSet {
    const char *engine; /* NULL = asked for by PART_ENGINE or the port */
    /* Any of these being set makes the set the choice. */
    const char *present[3];
    const char *names[PART_COUNT][4]; /* first one set wins */
    bool defaults_to_user;            /* the database, as the server's image has it */
} PartSet;

static const PartSet sets[] = {
    {"postgres",
     {"PGHOST", "PGDATABASE", "PGSERVICE"},
     {{"PGHOST"}, {"PGPORT"}, {"PGDATABASE"}, {"PGUSER"}, {"PGPASSWORD"}, {"PGSERVICE"}}},
    {"postgres",
     {"POSTGRES_HOST"},
     {{"POSTGRES_HOST"},
      {"POSTGRES_PORT"},
      {"POSTGRES_DB", "POSTGRES_DATABASE"},
      {"POSTGRES_USER"},
      {"POSTGRES_PASSWORD"},
      {NULL}},
     true},
    {NULL,
     {"DB_HOST", "DB_NAME", "DB_DATABASE"},
     {{"DB_HOST"},
      {"DB_PORT"},
      {"DB_NAME", "DB_DATABASE"},
      {"DB_USER", "DB_USERNAME"},
      {"DB_PASSWORD", "DB_PASS"},
      {"DB_ENGINE", "DB_CONNECTION", "DB_DIALECT"}}},
    {"mysql",
     {"MYSQL_HOST", "MYSQL_DATABASE"},
     {{"MYSQL_HOST"},
      {"MYSQL_PORT", "MYSQL_TCP_PORT"},
      {"MYSQL_DATABASE"},
      {"MYSQL_USER"},
      {"MYSQL_PASSWORD"},
      {NULL}}},
};

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
    if (c->engine)
        return true;
    error_set(err, ERROR_USAGE, "DB_HOST names a server, and nothing says of which kind");
    return error_hint(err, "Set DB_ENGINE (postgres, mysql), or DB_PORT, or give a whole URL in "
                           "DATABASE_URL.");
}

static bool
is_present(Picker *p, const PartSet *set, bool *ret, Error *err)
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
take_set(Picker *p, const PartSet *set, DatabaseChoice *ret, Error *err)
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
    if (strcmp(c.engine, "sqlite") == 0 && !c.database.p) {
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
    for (size_t i = 0; i < COUNT_OF(url_variables); i++) {
        Str value;
        if (!env_secret(arena, environ_, url_variables[i], &value, err))
            return false;
        if (value.p) {
            *ret = (DatabaseChoice){
                .found = true, .url = value, .from = str_dup(arena, str_of(url_variables[i]))};
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(sets); i++) {
        Picker p = {arena, environ_, strbuf_new(arena, 4096)};
        bool present;
        if (!is_present(&p, &sets[i], &present, err))
            return false;
        if (present)
            return take_set(&p, &sets[i], ret, err);
    }
    *ret = (DatabaseChoice){0};
    return true;
}
