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
#define SETTING(id, type, flag, arg, variable, compat, key, value, flags, group, help)              \
    {SET_##id, SETTING_##type, flag, arg, variable, compat, key, value, flags, group, help},
#include "conf/settings.def"
#undef SETTING
};

/* File keys beside the table (contract 2). */
static const char *const extra_keys[] = {"expect.engine", "expect.version", "environments", "expect"};

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

static bool
bad_value(const SettingRow *row, const char *origin, const char *text, const char *what,
          const char *hint, Error *err)
{
    if (row->flags & SETTING_SECRET)
        error_set(err, ERROR_USAGE, "%s: the value is not %s", origin, what);
    else
        error_set(err, ERROR_USAGE, "%s: '%s' is not %s", origin, text, what);
    return error_hint(err, "%s", hint);
}

static bool
choice_is_known(Arena *arena, const SettingRow *row, const char *text, const char *origin, Error *err)
{
    VEC(const char *) words = {0};
    Str rest = str_of(row->arg);
    for (;;) {
        size_t end = str_find(rest, '|');
        Str    word = str_sub(rest, 0, end);
        if (str_eq(word, str_of(text)))
            return true;
        *vec_push(arena, &words) = str_dup(arena, word);
        if (end == rest.n)
            break;
        rest = str_sub(rest, end + 1, rest.n);
    }
    *vec_push(arena, &words) = NULL;
    const char *near = str_nearest(str_of(text), words.p);
    bad_value(row, origin, text, str_printf(arena, "one of %s", row->arg), "", err);
    return near ? error_hint(err, "Did you mean '%s'?", near)
                : error_hint(err, "Use one of %s.", row->arg);
}

static bool
parse_value(Arena *arena, const SettingRow *row, SettingValue *v, Error *err)
{
    Str text = str_of(v->text);
    switch (row->type) {
    case SETTING_BOOL:
        return str_to_bool(text, &v->boolean) ||
               bad_value(row, v->origin, v->text, "yes or no", "Use true or false.", err);
    case SETTING_DURATION:
        return str_to_duration_ms(text, &v->ms) ||
               bad_value(row, v->origin, v->text, "a duration",
                         "Write it like 500ms, 5s, 10m or 2h; a bare number is seconds.", err);
    case SETTING_CHOICE:
        return choice_is_known(arena, row, v->text, v->origin, err);
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
        Str    one = str_trim(str_sub(text, 0, end));
        if (one.n)
            *vec_push(arena, &list) = str_dup(arena, one);
        text = str_sub(text, end + 1, text.n);
    }
    *vec_push(arena, &list) = NULL;
    return list.p;
}

static bool
take(Arena *arena, Settings *s, const SettingRow *row, SettingFrom from, const char *origin,
     const char *text, char **list, Error *err)
{
    SettingValue v = {.from = from,
                      .origin = str_dup(arena, str_of(origin)),
                      .text = str_dup(arena, str_of(text)),
                      .list = list};
    if (row->type == SETTING_LIST && !list)
        v.list = split_commas(arena, str_of(text));
    if (list && row->type != SETTING_LIST)
        return error_set(err, ERROR_USAGE, "%s: takes one value, not a list", origin);
    if (v.text && !parse_value(arena, row, &v, err))
        return false;
    s->values[row->id] = v;
    return true;
}

/* ---- the four places, weakest first: each overwrites the one before ---- */

static bool
take_defaults(Arena *arena, Settings *s, Error *err)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].value &&
            !take(arena, s, &rows[i], FROM_DEFAULT, "default", rows[i].value, NULL, err))
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
                : error_hint(err, "`lockstep help` lists the settings; a key is its flag with `_`.");
}

static bool
take_expectation(Arena *arena, Settings *s, const FileKey *key)
{
    char **to = strcmp(key->name, "expect.engine") == 0    ? &s->expect_engine
                : strcmp(key->name, "expect.version") == 0 ? &s->expect_version
                                                           : NULL;
    if (!to || !key->text)
        return false;
    *to = key->text;
    s->expect_origin = str_printf(arena, "%s:%zu:%zu", s->config_path, key->line, key->column);
    return true;
}

static bool
take_file_key(Arena *arena, Settings *s, const FileKey *key, Error *err)
{
    const SettingRow *row = row_by_key(key->name);
    if (!row)
        return take_expectation(arena, s, key) || unknown_key(arena, s->config_path, key, err);
    const char *origin = str_printf(arena, "%s:%zu:%zu", s->config_path, key->line, key->column);
    char **list = key->list;
    /* A list setting written as one plain value is a list of one. */
    if (row->type == SETTING_LIST && !list) {
        list = arena_array(arena, char *, 2);
        list[0] = key->text;
    }
    if (take(arena, s, row, FROM_FILE, origin, key->text, list, err))
        return true;
    return error_at(err, s->config_path, key->value_line, key->value_column);
}

static bool
take_file(Arena *arena, Settings *s, Error *err)
{
    FileKeys    keys, others;
    const char *environment = s->values[SET_ENVIRONMENT].text;
    if (!config_file_read(arena, s->config_path, environment, &keys, &others, err))
        return false;
    for (size_t i = 0; i < others.n; i++) {
        if (!row_by_key(others.p[i].name))
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
        size_t      end = str_find(rest, ',');
        const char *name = str_dup(arena, str_sub(rest, 0, end));
        const char *value = env_get(environ_, name);
        rest = str_sub(rest, end + 1, rest.n);
        if (!value || !*value)
            continue;
        const char *meaning = compat_meaning(name, value);
        bool        unclear = !meaning && strcmp(name, "AUTO_MIGRATE_FAIL_ON_ERROR") == 0;
        if (unclear)
            return bad_value(row, name, value, "yes or no", "Use true or false.", err);
        return take(arena, s, row, FROM_COMPAT, name, meaning ? meaning : value, NULL, err);
    }
    return true;
}

/* That convention's users expect the service to start although migrating failed. */
static void
take_auto_migrate(Arena *arena, Settings *s, char *const *environ_)
{
    const char   *value = env_get(environ_, "AUTO_MIGRATE");
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
    return take(arena, s, row, FROM_VARIABLE, row->variable, str_dup(arena, value), NULL, err);
}

static bool
take_flag(Arena *arena, Settings *s, const FlagValue *flag, Error *err)
{
    const SettingRow *row = setting_row(flag->id);
    const char *origin = str_printf(arena, "--%s", row->flag);
    const char *text = flag->text ? flag->text : "true";
    char      **list = NULL;
    if (row->type == SETTING_LIST) {
        /* Repeated flags add up; what came from weaker places is replaced. */
        const SettingValue *old = &s->values[row->id];
        size_t n = 0;
        while (old->from == FROM_FLAG && old->list && old->list[n])
            n++;
        list = arena_array(arena, char *, n + 2);
        for (size_t i = 0; i < n; i++)
            list[i] = old->list[i];
        list[n] = str_dup(arena, str_of(text));
    }
    return take(arena, s, row, FROM_FLAG, origin, text, list, err);
}

/* Everything stronger than the file, for one row. */
static bool
take_above_file(Arena *arena, Settings *s, const SettingRow *row, const FlagValues *flags,
                char *const *environ_, Error *err)
{
    if (!take_compat(arena, s, row, environ_, err) ||
        !take_variable(arena, s, row, environ_, err))
        return false;
    for (size_t i = 0; i < flags->n; i++) {
        if (flags->p[i].id == row->id && !take_flag(arena, s, &flags->p[i], err))
            return false;
    }
    return true;
}

/* ---- unknown variables ---- */

static bool
is_our_variable(const char *name, size_t n)
{
    static const char *const others[] = {"LOCKSTEP_FAULT", "LOCKSTEP_DATABASE_URL_FILE",
                                         "LOCKSTEP_NOTIFY_FILE"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strlen(rows[i].variable) == n && strncmp(rows[i].variable, name, n) == 0)
            return true;
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (strlen(others[i]) == n && strncmp(others[i], name, n) == 0)
            return true;
    }
    return false;
}

static char **
find_unknown(Arena *arena, char *const *environ_)
{
    VEC(char *) warnings = {0};
    VEC(const char *) names = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].variable[0])
            *vec_push(arena, &names) = rows[i].variable;
    }
    *vec_push(arena, &names) = NULL;
    for (size_t i = 0; environ_ && environ_[i]; i++) {
        size_t n = strcspn(environ_[i], "=");
        if (strncmp(environ_[i], "LOCKSTEP_", 9) != 0 || is_our_variable(environ_[i], n))
            continue;
        Str         name = {environ_[i], n};
        const char *near = str_nearest(name, names.p);
        *vec_push(arena, &warnings) =
            near ? str_printf(arena, "unknown variable '" STR_FMT "': did you mean '%s'?", STR_ARG(name),
                              near)
                 : str_printf(arena, "unknown variable '" STR_FMT "'", STR_ARG(name));
    }
    *vec_push(arena, &warnings) = NULL;
    return warnings.p;
}

/* ---- all of it ---- */

static bool
choose_file(Arena *arena, Settings *s, Error *err)
{
    const SettingValue *named = &s->values[SET_CONFIG];
    if (named->text) {
        if (fs_kind(named->text) == FS_ABSENT) {
            error_set(err, ERROR_USAGE, "%s: the file '%s' is not there", named->origin, named->text);
            return error_hint(err, "Correct the path, or leave the setting out.");
        }
        s->config_path = named->text;
    } else if (fs_kind("lockstep.yaml") == FS_FILE) {
        s->config_path = str_dup(arena, STR("lockstep.yaml"));
    } else if (fs_kind("lockstep.yml") == FS_FILE) {
        s->config_path = str_dup(arena, STR("lockstep.yml"));
    }
    return true;
}

bool
settings_load(Arena *arena, const FlagValues *flags, char *const *environ_, Settings *ret,
              Error *err)
{
    Settings s = {0};
    if (!take_defaults(arena, &s, err) ||
        !take_above_file(arena, &s, setting_row(SET_ENVIRONMENT), flags, environ_, err) ||
        !take_above_file(arena, &s, setting_row(SET_CONFIG), flags, environ_, err) ||
        !choose_file(arena, &s, err))
        return false;
    if (s.config_path && !take_file(arena, &s, err))
        return false;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!take_above_file(arena, &s, &rows[i], flags, environ_, err))
            return false;
    }
    take_auto_migrate(arena, &s, environ_);
    s.warnings = find_unknown(arena, environ_);
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
