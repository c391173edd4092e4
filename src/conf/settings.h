/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Settings: one row of settings.def each; flag, variable, file key, help, completion come from it.
 * Strength: flag, LOCKSTEP_* variable, compatibility variable, lockstep.yaml (its
 * environments.<name> part first), default. Each value keeps where it came from. The only room
 * that reads the environment; included by cmd only.
 */

#include "core/env.h"
#include "core/error.h"
#include "core/str.h"

/* settings.def: SETTING(ID, type, "flag", "ARG", "VARIABLE", "compat,compat", "file_key",
 * "default", flags, "group", "help") */
typedef enum SettingId {
#define SETTING(id, type, flag, arg, variable, compat, key, value, flags, group, help) SET_##id,
#include "conf/settings.def"
#undef SETTING
    SET_COUNT
} SettingId;

typedef enum SettingType {
    SETTING_TEXT,
    SETTING_BOOL,     /* --migrate, --migrate=false, --no-migrate */
    SETTING_DURATION, /* ms */
    SETTING_CHOICE,   /* ARG is "a|b|c" */
    SETTING_LIST,     /* repeatable; variable is comma separated */
    SETTING_COMMAND,  /* text or list of words */
} SettingType;

enum { SETTING_SECRET = 1, SETTING_NO_FILE = 2 /* no file key */ };

typedef enum SettingFrom {
    FROM_DEFAULT,
    FROM_FILE,
    FROM_COMPAT,
    FROM_VARIABLE,
    FROM_FLAG
} SettingFrom;

typedef struct SettingValue {
    SettingFrom from;
    char *origin; /* "--lock-wait", "LOCKSTEP_LOCK_WAIT", "lockstep.yaml:12:5" */
    char *text;   /* NULL = not set and no default */
    bool boolean;
    int64_t ms;
    char **list; /* LIST, COMMAND: NULL-terminated, NULL when not set */
} SettingValue;

typedef struct Settings {
    SettingValue values[SET_COUNT];
    char *config_path; /* the file read, NULL = none */
    char **warnings;   /* NULL-terminated: unknown LOCKSTEP_* variables with the nearest name */
} Settings;

typedef struct SettingRow {
    SettingId id;
    SettingType type;
    const char *flag, *arg, *variable, *compat, *key, *value;
    unsigned flags;
    const char *group, *help;
} SettingRow;
const SettingRow *setting_row(SettingId id);
const SettingRow *setting_by_flag(Str flag_without_dashes, bool *ret_negated);

/* What the command line said: flags in order, before and after the command. */
typedef struct FlagValue {
    SettingId id;
    char *text; /* NULL for a bare boolean flag (true), "false" for --no-X */
} FlagValue;
typedef VEC(FlagValue) FlagValues;

/* `environ_` is the process environment. Reads --config / LOCKSTEP_CONFIG / lockstep.yaml|.yml in
 * the current directory. ERROR_USAGE names flag, variable or file:line:column. */
bool settings_load(Arena *arena,
                   const FlagValues *flags,
                   char *const *environ_,
                   Settings *ret,
                   Error *err) MUST_CHECK;
const char *setting_text(const Settings *s, SettingId id); /* NULL when not set */
bool setting_bool(const Settings *s, SettingId id);
int64_t setting_ms(const Settings *s, SettingId id);
char **setting_list(const Settings *s, SettingId id); /* NULL when not set */
bool setting_is_set(const Settings *s, SettingId id); /* not by default */

/* The value of a variable, with X_FILE (Docker secrets) standing for X's content. *ret NULL when
 * neither X nor X_FILE is set; an unreadable X_FILE is ERROR_USAGE. Empty counts
 * as unset. */
bool
env_secret(Arena *arena, char *const *environ_, const char *name, Str *ret, Error *err) MUST_CHECK;
