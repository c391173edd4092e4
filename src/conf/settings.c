/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from their four places, strongest first. Each value remembers where it came from, so
 * that every complaint can name the place. */

#include "conf/settings.h"

#include <string.h>

#include "conf/file.h"
#include "core/fs.h"
#include "core/secret.h"
#include "core/banned.h"

static const SettingRow rows[] = {
#define SETTING(id, type, flag, arg, variable, compat, key, value, flags, group, help)             \
    {SET_##id, SETTING_##type, flag, arg, variable, compat, key, value, flags, group, help},
#include "conf/settings.def"
#undef SETTING
};

/* File keys beside the table: they hold others. */
static const char *const extra_keys[] = {"environments", "expect", "deploy"};

const SettingRow *
setting_row(SettingId id)
{
    return &rows[id];
}

const SettingRow *
setting_by_flag(Str flag, bool *ret_negated)
{
    Str bare = str_starts(flag, STR("no-")) ? str_sub(flag, 3, flag.n) : STR_ABSENT;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Str name = str_of(rows[i].flag);
        if (str_eq(name, flag)) {
            *ret_negated = false;
            return &rows[i];
        }
        if (bare.p && rows[i].type == SETTING_BOOL && str_eq(name, bare)) {
            *ret_negated = true;
            return &rows[i];
        }
    }
    return NULL;
}

/* ---- one value ---- */

/* `name` is what the user wrote: flag, variable or file key. */
static bool
bad_value(const SettingRow *row,
          const char *name,
          const char *text,
          const char *what,
          const char *hint,
          Error *err)
{
    if (row->flags & SETTING_SECRET)
        error_set(err, ERROR_USAGE, "'%s': the value is not %s", name, what);
    else
        error_set(err, ERROR_USAGE, "'%s': '%s' is not %s", name, text, what);
    return error_hint(err, "%s", hint);
}

static bool
choice_is_known(Arena *arena, const SettingRow *row, const char *name, const char *text, Error *err)
{
    const char *const *words = str_choices(arena, row->arg);
    for (const char *const *word = words; *word; word++)
        if (strcmp(*word, text) == 0)
            return true;
    const char *near = str_nearest(str_of(text), words);
    bad_value(row, name, text, str_printf(arena, "one of %s", row->arg), "", err);
    return near ? error_hint(err, "Did you mean '%s'?", near)
                : error_hint(err, "Use one of %s.", row->arg);
}

static bool
parse_value(Arena *arena, const SettingRow *row, const char *name, SettingValue *v, Error *err)
{
    Str text = str_of(v->text);
    switch (row->type) {
    case SETTING_BOOL:
        return str_to_bool(text, &v->boolean) ||
               bad_value(row, name, v->text, "yes or no", "Use true or false.", err);
    case SETTING_DURATION:
        return str_to_duration_ms(text, &v->ms) ||
               bad_value(row, name, v->text, "a duration",
                         "Write it like 500ms, 5s, 10m or 2h; a bare number is seconds.", err);
    case SETTING_CHOICE:
        return choice_is_known(arena, row, name, v->text, err);
    default:
        return true;
    }
}

static char **
split_commas(Arena *arena, Str text)
{
    VEC(char *) list = {0};
    while (text.n) {
        size_t end = str_find(text, ',');
        Str one = str_trim(str_sub(text, 0, end));
        if (one.n)
            *vec_push(arena, &list) = str_dup(arena, one);
        text = str_sub(text, end + 1, text.n);
    }
    *vec_push(arena, &list) = NULL;
    return list.p;
}

/* No shell is started: what only a shell understands is told, not passed on as words. */
static bool
split_command(Arena *arena, const char *name, SettingValue *v, Error *err)
{
    static const char *const operators[] = {"&&", "||", "|", ";", "&", ">", ">>", "<", NULL};
    bool closed = str_split_words(arena, str_of(v->text), &v->list);
    const char *found = closed && v->list[0] ? NULL : "";
    for (size_t i = 0; closed && v->list[i]; i++) {
        for (size_t k = 0; operators[k]; k++)
            found = strcmp(v->list[i], operators[k]) == 0 ? operators[k] : found;
    }
    if (!found)
        return true;
    if (*found) {
        error_set(err, ERROR_USAGE, "'%s' holds '%s', and no shell is started", name, found);
        return error_hint(err, "Write it as: sh -c '...'.");
    }
    error_set(err, ERROR_USAGE, "'%s' %s", name,
              closed ? "has no word" : "has a quote without an end");
    return error_hint(err, "Write words as in a shell, quotes in pairs.");
}

/* One value as a place gave it. */
typedef struct Given {
    SettingFrom from;
    const char *name;   /* as the user wrote it: "--lock-wait", "LOCKSTEP_LOCK_WAIT", "lock_wait" */
    const char *origin; /* NULL = the name */
    const char *text;
    char **list;
} Given;

static bool
take(Arena *arena, Settings *s, const SettingRow *row, const Given *given, Error *err)
{
    SettingValue v = {.from = given->from,
                      .origin = str_dup(arena, str_of(given->origin ? given->origin : given->name)),
                      .text = str_dup(arena, str_of(given->text)),
                      .list = given->list};
    if (v.list && row->type != SETTING_LIST && row->type != SETTING_COMMAND)
        return error_set(err, ERROR_USAGE, "'%s' takes one value, not a list", given->name);
    if (v.text && !*v.text) {
        error_set(err, ERROR_USAGE, "'%s' has no value", given->name);
        return error_hint(err, "Give it one, or leave it out.");
    }
    for (size_t i = 0; v.list && v.list[i]; i++) {
        if (!*v.list[i])
            return error_set(err, ERROR_USAGE, "'%s' has an empty item", given->name);
    }
    if (row->type == SETTING_LIST && !v.list)
        v.list = split_commas(arena, str_of(v.text));
    if (row->type == SETTING_COMMAND && !v.list && !split_command(arena, given->name, &v, err))
        return false;
    if (v.text && !parse_value(arena, row, given->name, &v, err))
        return false;
    s->values[row->id] = v;
    return true;
}

/* ---- the four places, weakest first: each overwrites the one before ---- */

static bool
take_defaults(Arena *arena, Settings *s, Error *err)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Given given = {FROM_DEFAULT, rows[i].flag, "default", rows[i].value, NULL};
        if (given.text && !take(arena, s, &rows[i], &given, err))
            return false;
    }
    return true;
}

static const SettingRow *
row_by_key(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].key && strcmp(rows[i].key, key) == 0)
            return &rows[i];
    }
    return NULL;
}

static bool
unknown_key(Arena *arena, const char *path, const FileKey *key, Error *err)
{
    VEC(const char *) names = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].key)
            *vec_push(arena, &names) = rows[i].key;
    }
    for (size_t i = 0; i < COUNT_OF(extra_keys); i++)
        *vec_push(arena, &names) = extra_keys[i];
    *vec_push(arena, &names) = NULL;
    const char *near = str_nearest(str_of(key->name), names.p);
    error_set(err, ERROR_USAGE, "unknown key '%s'", key->name);
    error_at(err, path, key->line, key->column);
    return near ? error_hint(err, "Did you mean '%s'?", near)
                : error_hint(err, "`lockstep help settings` lists the keys.");
}

/* What a deploy expects of its database is what every run expects of it. */
static const SettingRow *
row_of_file_key(const char *name)
{
    static const struct {
        const char *name;
        SettingId id;
    } others[] = {{"deploy.engine", SET_EXPECT_ENGINE}, {"deploy.version", SET_EXPECT_VERSION}};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (strcmp(name, others[i].name) == 0)
            return setting_row(others[i].id);
    return row_by_key(name);
}

static bool
take_file_key(Arena *arena, Settings *s, const FileKey *key, Error *err)
{
    const SettingRow *row = row_of_file_key(key->name);
    if (!row)
        return unknown_key(arena, s->config_path, key, err);
    Given given = {FROM_FILE, key->name, NULL, key->text, key->list};
    given.origin = str_printf(arena, "%s:%zu:%zu", s->config_path, key->line, key->column);
    /* A list setting written as one plain value is a list of one. */
    if (row->type == SETTING_LIST && !given.list) {
        given.list = arena_array(arena, char *, 2);
        given.list[0] = key->text;
    }
    if (take(arena, s, row, &given, err))
        return true;
    return error_at(err, s->config_path, key->value_line, key->value_column);
}

static bool
take_file(Arena *arena, Settings *s, Error *err)
{
    FileKeys keys, others;
    const char *environment = s->values[SET_ENVIRONMENT].text;
    if (!config_file_read(arena, s->config_path, environment, &keys, &others, err))
        return false;
    for (size_t i = 0; i < others.n; i++) {
        if (!row_of_file_key(others.p[i].name))
            return unknown_key(arena, s->config_path, &others.p[i], err);
    }
    for (int environments = 0; environments < 2; environments++) {
        for (size_t i = 0; i < keys.n; i++) {
            if (keys.p[i].from_environment == (environments == 1) &&
                !take_file_key(arena, s, &keys.p[i], err))
                return false;
        }
    }
    return true;
}

/* What a compatibility variable's value means for the setting; NULL = as it stands. */
static const char *
compat_meaning(const char *name, const char *value)
{
    bool yes;
    if (strcmp(name, "NO_COLOR") == 0)
        return "never";
    if (strcmp(name, "AUTO_MIGRATE_FAIL_ON_ERROR") == 0 && str_to_bool(str_of(value), &yes))
        return yes ? "stop" : "continue";
    return NULL;
}

static bool
take_compat(Arena *arena, Settings *s, const SettingRow *row, char *const *environ_, Error *err)
{
    Str rest = str_of(row->compat);
    while (rest.n) {
        size_t end = str_find(rest, ',');
        const char *name = str_dup(arena, str_sub(rest, 0, end));
        const char *value = env_get(environ_, name);
        rest = str_sub(rest, end + 1, rest.n);
        if (!value || !*value)
            continue;
        const char *meaning = compat_meaning(name, value);
        bool unclear = !meaning && strcmp(name, "AUTO_MIGRATE_FAIL_ON_ERROR") == 0;
        if (unclear)
            return bad_value(row, name, value, "yes or no", "Use true or false.", err);
        Given given = {FROM_COMPAT, name, NULL, meaning ? meaning : value, NULL};
        return take(arena, s, row, &given, err);
    }
    return true;
}

/* That convention's users expect the service to start although migrating failed. */
static void
take_auto_migrate(Arena *arena, Settings *s, char *const *environ_)
{
    const char *value = env_get(environ_, "AUTO_MIGRATE");
    SettingValue *v = &s->values[SET_ON_FAILURE];
    if (value && *value && v->from < FROM_COMPAT)
        *v = (SettingValue){.from = FROM_COMPAT,
                            .origin = str_dup(arena, STR("AUTO_MIGRATE")),
                            .text = str_dup(arena, STR("continue"))};
}

static bool
take_variable(Arena *arena, Settings *s, const SettingRow *row, char *const *environ_, Error *err)
{
    Str value = str_of(row->variable[0] ? env_get(environ_, row->variable) : NULL);
    if ((row->flags & SETTING_SECRET) && row->variable[0] &&
        !env_secret(arena, environ_, row->variable, &value, err))
        return false;
    if (!value.n)
        return true;
    Given given = {FROM_VARIABLE, row->variable, NULL, str_dup(arena, value), NULL};
    return take(arena, s, row, &given, err);
}

static bool
take_flag(Arena *arena, Settings *s, const FlagValue *flag, Error *err)
{
    const SettingRow *row = setting_row(flag->id);
    Given given = {.from = FROM_FLAG, .name = str_printf(arena, "--%s", row->flag)};
    given.text = flag->text ? flag->text : "true";
    if (row->type == SETTING_LIST) {
        /* Repeated flags add up; what came from weaker places is replaced. */
        const SettingValue *old = &s->values[row->id];
        size_t n = 0;
        while (old->from == FROM_FLAG && old->list && old->list[n])
            n++;
        given.list = arena_array(arena, char *, n + 2);
        for (size_t i = 0; i < n; i++)
            given.list[i] = old->list[i];
        given.list[n] = str_dup(arena, str_of(given.text));
    }
    return take(arena, s, row, &given, err);
}

/* Everything stronger than the file, for one row. A compatibility variable is somebody else's: it
 * is not even read where the user told lockstep itself. */
static bool
take_above_file(Arena *arena,
                Settings *s,
                const SettingRow *row,
                const FlagValues *flags,
                char *const *environ_,
                Error *err)
{
    if (!take_variable(arena, s, row, environ_, err))
        return false;
    for (size_t i = 0; i < flags->n; i++) {
        if (flags->p[i].id == row->id && !take_flag(arena, s, &flags->p[i], err))
            return false;
    }
    return s->values[row->id].from > FROM_COMPAT || take_compat(arena, s, row, environ_, err);
}

/* ---- unknown variables ---- */

#define OUR_PREFIX "LOCKSTEP_"

typedef VEC(char *) Warnings;

static bool
is_our_variable(Str name)
{
    /* The secret ones may stand in a file; the fault points of test builds are no setting. */
    static const char *const others[] = {"LOCKSTEP_FAULT", "LOCKSTEP_REVISION",
                                         "LOCKSTEP_DATABASE_URL_FILE", "LOCKSTEP_NOTIFY_FILE"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (str_eq(name, str_of(rows[i].variable)))
            return true;
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (str_eq(name, str_of(others[i])))
            return true;
    }
    return false;
}

static void
find_unknown(Arena *arena, char *const *environ_, Warnings *warnings)
{
    const size_t prefix = strlen(OUR_PREFIX);
    VEC(const char *) names = {0}; /* without the prefix, which would make any two look near */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].variable[0])
            *vec_push(arena, &names) = rows[i].variable + prefix;
    }
    *vec_push(arena, &names) = NULL;
    for (size_t i = 0; environ_ && environ_[i]; i++) {
        Str name = {environ_[i], strcspn(environ_[i], "=")};
        if (!str_starts(name, STR(OUR_PREFIX)) || is_our_variable(name))
            continue;
        const char *near = str_nearest(str_sub(name, prefix, name.n), names.p);
        *vec_push(arena, warnings) =
            near ? str_printf(arena, "unknown variable '" STR_FMT "': did you mean '%s%s'?",
                              STR_ARG(name), OUR_PREFIX, near)
                 : str_printf(arena, "unknown variable '" STR_FMT "'", STR_ARG(name));
    }
}

/* ---- all of it ---- */

static bool
choose_file(Arena *arena, Settings *s, Warnings *warnings, Error *err)
{
    static const char *const names[] = {"lockstep.yaml", "lockstep.yml"};
    const SettingValue *named = &s->values[SET_CONFIG];
    if (named->text) {
        if (fs_kind(named->text) == FS_ABSENT) {
            error_set(err, ERROR_USAGE, "'%s': the file '%s' is not there", named->origin,
                      named->text);
            return error_hint(err, "Correct the path, or leave the setting out.");
        }
        s->config_path = named->text;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (fs_kind(names[i]) == FS_ABSENT)
            continue;
        if (s->config_path)
            *vec_push(arena, warnings) = str_printf(
                arena, "'%s' is not read, because '%s' is there too", names[i], names[0]);
        else
            s->config_path = str_dup(arena, str_of(names[i]));
    }
    return true;
}

bool
settings_load(
    Arena *arena, const FlagValues *flags, char *const *environ_, Settings *ret, Error *err)
{
    Settings s = {0};
    Warnings warnings = {0};
    if (!take_defaults(arena, &s, err) ||
        !take_above_file(arena, &s, setting_row(SET_ENVIRONMENT), flags, environ_, err) ||
        !take_above_file(arena, &s, setting_row(SET_CONFIG), flags, environ_, err) ||
        !choose_file(arena, &s, &warnings, err))
        return false;
    if (s.config_path && !take_file(arena, &s, err))
        return false;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!take_above_file(arena, &s, &rows[i], flags, environ_, err))
            return false;
    }
    take_auto_migrate(arena, &s, environ_);
    find_unknown(arena, environ_, &warnings);
    *vec_push(arena, &warnings) = NULL;
    s.warnings = warnings.p;
    *ret = s;
    return true;
}

const char *
setting_text(const Settings *s, SettingId id)
{
    return s->values[id].text;
}

bool
setting_bool(const Settings *s, SettingId id)
{
    return s->values[id].boolean;
}

int64_t
setting_ms(const Settings *s, SettingId id)
{
    return s->values[id].ms;
}

char **
setting_list(const Settings *s, SettingId id)
{
    return s->values[id].list;
}

bool
setting_is_set(const Settings *s, SettingId id)
{
    return s->values[id].from != FROM_DEFAULT;
}
