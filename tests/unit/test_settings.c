/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings, their four places and strength, lockstep.yaml, and every complaint. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/settings.h"

#define ENV(...) environment((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static Arena *arena;
static Error err;
static char dir[64];
static FlagValues flags;
static Settings s;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    flags = (FlagValues){0};
    s = (Settings){0};
    snprintf(dir, sizeof dir, "/tmp/test_settings.XXXXXX");
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"lockstep.yaml", "lockstep.yml", "other.yaml", "secret"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unlink(names[i]);
        rmdir(names[i]);
    }
    int left = chdir("/") != 0 || rmdir(dir) != 0;
    arena_free(arena);
    return left;
}

static char **
environment(const char *const *entries)
{
    VEC(char *) copy = {0};
    for (size_t i = 0; entries[i]; i++)
        *vec_push(arena, &copy) = str_dup(arena, str_of(entries[i]));
    *vec_push(arena, &copy) = NULL;
    return copy.p;
}

static void
put(const char *name, Str text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
    close(fd);
}

static void
flag(SettingId id, const char *text)
{
    *vec_push(arena, &flags) = (FlagValue){id, str_dup(arena, str_of(text))};
}

static void
load(char *const *environ_)
{
    if (!settings_load(arena, &flags, environ_, &s, &err))
        fail_msg("%s:%zu:%zu: %s", err.file, err.line, err.column, err.message);
}

static void
refused(char *const *environ_, const char *message, const char *hint)
{
    error_clear(&err);
    Settings untouched = {.config_path = dir}, got = untouched;
    assert_false(settings_load(arena, &flags, environ_, &got, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_string_equal(err.message, message);
    if (hint)
        assert_non_null(strstr(err.hint, hint));
    assert_memory_equal(&got, &untouched, sizeof got);
}

static void
file_refused(const char *yaml, size_t line, size_t column, const char *message, const char *hint)
{
    put("lockstep.yaml", str_of(yaml));
    refused(ENV(), message, hint);
    assert_string_equal(err.file, "lockstep.yaml");
    assert_int_equal(err.line, line);
    assert_int_equal(err.column, column);
}

/* ---- the table ---- */

static bool
is_one_of(const char *list, const char *word)
{
    Str rest = str_of(list);
    while (rest.n) {
        size_t end = str_find(rest, '|');
        if (str_eq(str_sub(rest, 0, end), str_of(word)))
            return true;
        rest = str_sub(rest, end + 1, rest.n);
    }
    return false;
}

static void
test_table(void **state)
{
    (void)state;
    static const char *const groups[] = {"database", "migrations", "run",    "waiting",
                                         "safety",   "output",     "deploy", "checks"};
    for (int i = 0; i < SET_COUNT; i++) {
        const SettingRow *row = setting_row((SettingId)i);
        bool known = false, negated;
        assert_int_equal(row->id, i);
        assert_true(strlen(row->help) > 10);
        for (size_t k = 0; k < COUNT_OF(groups); k++)
            known = known || strcmp(row->group, groups[k]) == 0;
        assert_true(known);
        assert_ptr_equal(setting_by_flag(str_of(row->flag), &negated), row);
        assert_false(negated);
        if (row->variable[0])
            assert_memory_equal(row->variable, "LOCKSTEP_", 9);
        assert_int_equal(row->key == NULL, (row->flags & SETTING_NO_FILE) != 0);
        if (row->type == SETTING_CHOICE)
            assert_true(is_one_of(row->arg, row->value));
        for (int k = 0; k < i; k++) {
            const SettingRow *other = setting_row((SettingId)k);
            assert_string_not_equal(row->flag, other->flag);
            assert_true(!row->variable[0] || strcmp(row->variable, other->variable) != 0);
            assert_true(!row->key || !other->key || strcmp(row->key, other->key) != 0);
        }
    }
}

static void
test_flags_by_name(void **state)
{
    (void)state;
    bool negated;
    assert_int_equal(setting_by_flag(STR("no-migrate"), &negated)->id, SET_MIGRATE);
    assert_true(negated);
    assert_int_equal(setting_by_flag(STR("create"), &negated)->id, SET_CREATE);
    assert_false(negated);
    assert_null(setting_by_flag(STR("no-wait"), &negated)); /* not a boolean */
    assert_null(setting_by_flag(STR("no-"), &negated));
    assert_null(setting_by_flag(STR(""), &negated));
    assert_null(setting_by_flag(STR("wai"), &negated));
    assert_null(setting_by_flag(STR("Wait"), &negated));
}

static void
test_defaults(void **state)
{
    (void)state;
    load(ENV());
    assert_null(setting_text(&s, SET_URL));
    assert_true(setting_bool(&s, SET_MIGRATE));
    assert_false(setting_bool(&s, SET_CREATE));
    assert_string_equal(setting_text(&s, SET_ON_FAILURE), "stop");
    static const struct {
        SettingId id;
        int64_t ms;
    } times[] = {{SET_WAIT, 60000},        {SET_LEASE, 15000},        {SET_LOCK_WAIT, 600000},
                 {SET_LOCK_TIMEOUT, 1000}, {SET_RETRY_FOR, 600000},   {SET_MAX_BLOCK, 5000},
                 {SET_GRACE, 10000},       {SET_STATEMENT_TIMEOUT, 0}};
    for (size_t i = 0; i < COUNT_OF(times); i++)
        assert_int_equal(setting_ms(&s, times[i].id), times[i].ms);
    assert_null(setting_list(&s, SET_NOTIFY));
    assert_null(s.config_path);
    assert_null(s.warnings[0]);
    for (int i = 0; i < SET_COUNT; i++)
        assert_false(setting_is_set(&s, (SettingId)i));
}

/* ---- strength ---- */

static void
test_strength(void **state)
{
    (void)state;
    put("lockstep.yaml", STR("wait: 1s\nenvironments:\n  prod:\n    wait: 2s\n"));
    load(ENV());
    assert_int_equal(setting_ms(&s, SET_WAIT), 1000);
    assert_string_equal(s.values[SET_WAIT].origin, "lockstep.yaml:1:1");
    assert_string_equal(s.config_path, "lockstep.yaml");
    load(ENV("RAILS_ENV=prod"));
    assert_int_equal(setting_ms(&s, SET_WAIT), 2000);
    assert_string_equal(s.values[SET_WAIT].origin, "lockstep.yaml:4:5");
    load(ENV("RAILS_ENV=prod", "LOCKSTEP_WAIT=3s"));
    assert_int_equal(setting_ms(&s, SET_WAIT), 3000);
    assert_string_equal(s.values[SET_WAIT].origin, "LOCKSTEP_WAIT");
    flag(SET_WAIT, "4s");
    flag(SET_WAIT, "5s");
    load(ENV("RAILS_ENV=prod", "LOCKSTEP_WAIT=3s"));
    assert_int_equal(setting_ms(&s, SET_WAIT), 5000); /* the last one said */
    assert_string_equal(s.values[SET_WAIT].origin, "--wait");
    assert_int_equal(s.values[SET_WAIT].from, FROM_FLAG);
}

static void
test_environment_chosen(void **state)
{
    (void)state;
    load(ENV("DJANGO_ENV=f", "NODE_ENV=d", "RAILS_ENV=c", "ENVIRONMENT=b", "APP_ENV=a"));
    assert_string_equal(setting_text(&s, SET_ENVIRONMENT), "a");
    load(ENV("DJANGO_ENV=f", "FLASK_ENV=e", "NODE_ENV=d", "APP_ENV="));
    assert_string_equal(setting_text(&s, SET_ENVIRONMENT), "d");
    assert_string_equal(s.values[SET_ENVIRONMENT].origin, "NODE_ENV");
    load(ENV("APP_ENV=a", "LOCKSTEP_ENVIRONMENT=x"));
    assert_string_equal(setting_text(&s, SET_ENVIRONMENT), "x");
    put("lockstep.yaml", STR("environments:\n  other: {wait: 2s}\n  none:\n"));
    load(ENV("APP_ENV=absent"));
    assert_int_equal(setting_ms(&s, SET_WAIT), 60000);
    load(ENV("APP_ENV=none"));
    assert_int_equal(setting_ms(&s, SET_WAIT), 60000);
}

static void
test_booleans_and_lists(void **state)
{
    (void)state;
    flag(SET_MIGRATE, "false");
    flag(SET_CREATE, NULL);
    flag(SET_ONLY, "gunicorn*");
    flag(SET_ONLY, "a,b");
    load(ENV("LOCKSTEP_NOTIFY= http://a , http://b,,", "LOCKSTEP_ONLY=weaker"));
    assert_false(setting_bool(&s, SET_MIGRATE));
    assert_true(setting_bool(&s, SET_CREATE));
    char **only = setting_list(&s, SET_ONLY);
    assert_string_equal(only[0], "gunicorn*");
    assert_string_equal(only[1], "a,b");
    assert_null(only[2]);
    char **notify = setting_list(&s, SET_NOTIFY);
    assert_string_equal(notify[0], "http://a");
    assert_string_equal(notify[1], "http://b");
    assert_null(notify[2]);
    flags = (FlagValues){0};
    put("lockstep.yaml", STR("only: [one, 'two']\nnotify: http://c/x?a=1,2\nmigrate: no\n"));
    load(ENV("LOCKSTEP_CREATE=ON"));
    assert_string_equal(setting_list(&s, SET_ONLY)[1], "two");
    assert_string_equal(setting_list(&s, SET_NOTIFY)[0], "http://c/x?a=1,2");
    assert_null(setting_list(&s, SET_NOTIFY)[1]);
    assert_false(setting_bool(&s, SET_MIGRATE));
    assert_true(setting_bool(&s, SET_CREATE));
}

/* ---- compatibility ---- */

static void
test_auto_migrate(void **state)
{
    (void)state;
    load(ENV("AUTO_MIGRATE=true"));
    assert_true(setting_bool(&s, SET_MIGRATE));
    assert_string_equal(setting_text(&s, SET_ON_FAILURE), "continue");
    assert_string_equal(s.values[SET_ON_FAILURE].origin, "AUTO_MIGRATE");
    load(ENV("AUTO_MIGRATE=false"));
    assert_false(setting_bool(&s, SET_MIGRATE));
    load(ENV("AUTO_MIGRATE=1", "AUTO_MIGRATE_FAIL_ON_ERROR=true"));
    assert_string_equal(setting_text(&s, SET_ON_FAILURE), "stop");
    assert_string_equal(s.values[SET_ON_FAILURE].origin, "AUTO_MIGRATE_FAIL_ON_ERROR");
    load(ENV("AUTO_MIGRATE_FAIL_ON_ERROR=no"));
    assert_string_equal(setting_text(&s, SET_ON_FAILURE), "continue");
    load(ENV("AUTO_MIGRATE=", "AUTO_MIGRATE_FAIL_ON_ERROR=", "DJANGO_APPLY_MIGRATIONS=off"));
    assert_string_equal(setting_text(&s, SET_ON_FAILURE), "stop");
    assert_false(setting_bool(&s, SET_MIGRATE));
    load(ENV("AUTO_MIGRATE=yes", "DJANGO_APPLY_MIGRATIONS=off", "LOCKSTEP_ON_FAILURE=stop"));
    assert_true(setting_bool(&s, SET_MIGRATE));
    assert_string_equal(setting_text(&s, SET_ON_FAILURE), "stop");
    put("lockstep.yaml", STR("on_failure: stop\n")); /* weaker than a compatibility variable */
    load(ENV("AUTO_MIGRATE=yes"));
    assert_string_equal(setting_text(&s, SET_ON_FAILURE), "continue");
}

static void
test_compat_is_not_read_where_lockstep_was_told(void **state)
{
    (void)state;
    load(ENV("AUTO_MIGRATE=upgrade", "LOCKSTEP_MIGRATE=true"));
    assert_true(setting_bool(&s, SET_MIGRATE));
    refused(ENV("AUTO_MIGRATE=upgrade"), "'AUTO_MIGRATE': 'upgrade' is not yes or no", "true");
    refused(ENV("AUTO_MIGRATE_FAIL_ON_ERROR=perhaps"),
            "'AUTO_MIGRATE_FAIL_ON_ERROR': 'perhaps' is not yes or no", "true");
}

static void
test_color(void **state)
{
    (void)state;
    load(ENV("NO_COLOR=1"));
    assert_string_equal(setting_text(&s, SET_COLOR), "never");
    load(ENV("NO_COLOR="));
    assert_string_equal(setting_text(&s, SET_COLOR), "auto");
    flag(SET_COLOR, "always");
    load(ENV("NO_COLOR=1"));
    assert_string_equal(setting_text(&s, SET_COLOR), "always");
}

/* ---- complaints ---- */

static void
test_bad_values(void **state)
{
    (void)state;
    flag(SET_LOCK_WAIT, "abc");
    refused(ENV(), "'--lock-wait': 'abc' is not a duration", "500ms");
    flags = (FlagValues){0};
    flag(SET_LOCK, "sesion");
    refused(ENV(), "'--lock': 'sesion' is not one of auto|session|lease|file|none",
            "Did you mean 'session'?");
    flags = (FlagValues){0};
    flag(SET_MIGRATE, "maybe");
    refused(ENV(), "'--migrate': 'maybe' is not yes or no", "true or false");
    flags = (FlagValues){0};
    flag(SET_DIR, "");
    refused(ENV(), "'--dir' has no value", "leave it out");
    flags = (FlagValues){0};
    refused(ENV("LOCKSTEP_ORDER=zigzag"), "'LOCKSTEP_ORDER': 'zigzag' is not one of strict|any",
            "strict|any");
    refused(ENV("LOCKSTEP_WAIT=-1"), "'LOCKSTEP_WAIT': '-1' is not a duration", NULL);
    load(ENV("LOCKSTEP_WAIT=", "LOCKSTEP_LOCK=")); /* empty is not set */
    assert_int_equal(setting_ms(&s, SET_WAIT), 60000);
}

static void
test_unknown_variables(void **state)
{
    (void)state;
    load(ENV("LOCKSTEP_LOKC_WAIT=secret1", "LOCKSTEP_SAFETY=warn", "LOCKSTEP_COMMAND=x",
             "LOCKSTEP_PREFLIGHT=1", "LOCKSTEP_TARGET=x", "LOCKSTEP_FAULT=a:1:kill",
             "LOCKSTEP_NOTIFY_FILE=", "LOCKSTEP_DATABASE_URL_FILE=", "LOCKSTEP_WAIT=1s",
             "LOCKSTEPPER=1", "LOCKSTEP_NOSIGN"));
    assert_string_equal(
        s.warnings[0], "unknown variable 'LOCKSTEP_LOKC_WAIT': did you mean 'LOCKSTEP_LOCK_WAIT'?");
    assert_string_equal(s.warnings[1], "unknown variable 'LOCKSTEP_SAFETY'");
    assert_string_equal(s.warnings[2], "unknown variable 'LOCKSTEP_TARGET'");
    assert_string_equal(s.warnings[3], "unknown variable 'LOCKSTEP_NOSIGN'");
    assert_null(s.warnings[4]);
}

/* Words as in a shell, and no shell: what only one understands is refused, not passed on. */
static void
test_command(void **state)
{
    (void)state;
    flags = (FlagValues){0};
    load(ENV("LOCKSTEP_COMMAND=python 'my app/manage.py'  migrate --name=\"a b\" c\\ d"));
    char **words = setting_list(&s, SET_COMMAND);
    const char *const wanted[] = {"python", "my app/manage.py", "migrate", "--name=a b", "c d"};
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        assert_string_equal(words[i], wanted[i]);
    assert_null(words[COUNT_OF(wanted)]);
    refused(ENV("LOCKSTEP_COMMAND=a && b"),
            "'LOCKSTEP_COMMAND' holds '&&', and no shell is started", "sh -c");
    refused(ENV("LOCKSTEP_COMMAND=a 'b"), "'LOCKSTEP_COMMAND' has a quote without an end", NULL);
    refused(ENV("LOCKSTEP_COMMAND=  "), "'LOCKSTEP_COMMAND' has no word", NULL);
    load(ENV("LOCKSTEP_COMMAND=sh -c 'a && b'"));
    assert_string_equal(setting_list(&s, SET_COMMAND)[2], "a && b");
}

static void
test_file_is_named(void **state)
{
    (void)state;
    put("other.yaml", STR("wait: 7s\n"));
    put("lockstep.yaml", STR("wait: 8s\n"));
    put("lockstep.yml", STR("wait: 9s\n"));
    load(ENV());
    assert_int_equal(setting_ms(&s, SET_WAIT), 8000);
    assert_string_equal(s.warnings[0],
                        "'lockstep.yml' is not read, because 'lockstep.yaml' is there too");
    load(ENV("LOCKSTEP_CONFIG=other.yaml"));
    assert_int_equal(setting_ms(&s, SET_WAIT), 7000);
    assert_null(s.warnings[0]);
    flag(SET_CONFIG, "absent.yaml");
    refused(ENV("LOCKSTEP_CONFIG=other.yaml"), "'--config': the file 'absent.yaml' is not there",
            "Correct");
    flags = (FlagValues){0};
    unlink("lockstep.yaml");
    load(ENV());
    assert_int_equal(setting_ms(&s, SET_WAIT), 9000);
    unlink("lockstep.yml");
    assert_int_equal(mkdir("lockstep.yml", 0700), 0);
    refused(ENV(), "cannot read 'lockstep.yml': it is a directory", NULL);
}

static void
test_secrets(void **state)
{
    (void)state;
    put("secret", STR("postgres://u:pw@h/d\r\n"));
    load(ENV("LOCKSTEP_DATABASE_URL_FILE=secret"));
    assert_string_equal(setting_text(&s, SET_URL), "postgres://u:pw@h/d");
    assert_string_equal(s.values[SET_URL].origin, "LOCKSTEP_DATABASE_URL");
    load(ENV("LOCKSTEP_DATABASE_URL_FILE=secret", "LOCKSTEP_DATABASE_URL=sqlite:x"));
    assert_string_equal(setting_text(&s, SET_URL), "sqlite:x");
    error_clear(&err);
    assert_false(settings_load(arena, &flags, ENV("LOCKSTEP_DATABASE_URL_FILE=absent"), &s, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, "LOCKSTEP_DATABASE_URL_FILE"));
    assert_non_null(strstr(err.message, "absent"));
    put("secret", (Str){"a\0b", 3});
    error_clear(&err);
    assert_false(settings_load(arena, &flags, ENV("LOCKSTEP_DATABASE_URL_FILE=secret"), &s, &err));
    assert_non_null(strstr(err.message, "NUL"));
    put("lockstep.yaml", STR("url: [postgres://u:pw@h/d]\n"));
    refused(ENV(), "'url' takes one value, not a list", NULL);
    assert_null(strstr(err.hint, "pw"));
}

/* ---- lockstep.yaml ---- */

static void
test_file_forms(void **state)
{
    (void)state;
    static const char *const empty[] = {
        "",           "\n\n", "# nothing\n", "---\n",
        "---\n...\n", "~\n",  "{}\n",        "\xef\xbb\xbf# a byte order mark\n"};
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        put("lockstep.yaml", str_of(empty[i]));
        load(ENV());
        assert_int_equal(setting_ms(&s, SET_WAIT), 60000);
    }
    put("lockstep.yaml", STR("expect: {engine: postgresql, version: '15'}\n"
                             "dir: &d db/migrations\n"
                             "backup: *d\n"
                             "environments:\n  prod:\n    expect:\n      version: 16\n"));
    load(ENV());
    assert_string_equal(setting_text(&s, SET_EXPECT_ENGINE), "postgresql");
    assert_string_equal(setting_text(&s, SET_EXPECT_VERSION), "15");
    assert_string_equal(s.values[SET_EXPECT_VERSION].origin, "lockstep.yaml:1:30");
    assert_string_equal(setting_text(&s, SET_BACKUP), "db/migrations");
    load(ENV("APP_ENV=prod"));
    assert_string_equal(setting_text(&s, SET_EXPECT_ENGINE), "postgresql");
    assert_string_equal(setting_text(&s, SET_EXPECT_VERSION), "16");
}

static void
test_file_complaints(void **state)
{
    (void)state;
    file_refused("dir: x\nlockwait: 1s\n", 2, 1, "unknown key 'lockwait'", "'lock_wait'");
    file_refused("dir: {}\n", 1, 6, "the key 'dir' takes a value or a list, not keys of its own",
                 NULL);
    file_refused("deploy: x\n", 1, 9, "'deploy' holds the keys of a deploy", "target:");
    file_refused("deploy: {ap: x}\n", 1, 10, "unknown key 'deploy.ap'", "'deploy.app'");
    file_refused("config: x\n", 1, 1, "unknown key 'config'", NULL);
    file_refused("wait:   soon\n", 1, 9, "'wait': 'soon' is not a duration", "500ms");
    file_refused("dir:\n", 1, 5, "'dir' has no value", "leave it out");
    file_refused("dir: ~\n", 1, 6, "'dir' has no value", NULL);
    file_refused("only: [a, '']\n", 1, 7, "'only' has an empty item", NULL);
    file_refused("wait: [1s]\n", 1, 7, "'wait' takes one value, not a list", NULL);
    file_refused("wait: 1s\nwait: 2s\n", 2, 1, "the key 'wait' stands here twice", "Keep one");
    file_refused("only: [[a]]\n", 1, 8, "the list 'only' must hold plain values only", NULL);
    file_refused("- dir\n", 1, 1, "the file must hold settings, each a key and a value", "dir:");
    file_refused("dir\n", 1, 1, "the file must hold settings, each a key and a value", NULL);
    file_refused("? [a]\n: b\n", 1, 3, "a key must be a plain word", NULL);
    file_refused("dir: a\n---\ndir: b\n", 3, 1, "a second document starts here", "one document");
    file_refused("dir: \"a\\0b\"\n", 1, 6, "the value of 'dir' holds a NUL byte", NULL);
    file_refused("x: &a {dir: b}\n<<: *a\n", 2, 1, "merging with '<<' is not supported", "out");
}

static void
test_file_nested_complaints(void **state)
{
    (void)state;
    file_refused("expect: 15\n", 1, 9, "'expect' holds the keys engine and version", "engine:");
    file_refused("expect: {enigne: x}\n", 1, 10, "unknown key 'expect.enigne'", "'expect.engine'");
    file_refused("expect: {engine: [x]}\n", 1, 18, "'expect.engine' takes one value, not a list",
                 NULL);
    file_refused("environments: prod\n", 1, 15,
                 "'environments' holds names, and below each name its settings", "production");
    file_refused("environments:\n  prod: 1\n", 2, 9, "the environment 'prod' holds no settings",
                 NULL);
    file_refused("environments:\n  a: {wait: 1s}\n  a: {wait: 2s}\n", 3, 3,
                 "the key 'a' stands here twice", NULL);
    /* Environments that are not chosen are checked by name too. */
    file_refused("environments:\n  prod:\n    wiat: 1s\n", 3, 5, "unknown key 'wiat'", "'wait'");
    file_refused("environments:\n  prod:\n    environments: {}\n", 3, 19,
                 "the key 'environments' takes a value or a list, not keys of its own", NULL);
}

static void
test_file_is_not_yaml(void **state)
{
    (void)state;
    static const struct {
        Str yaml;
        size_t line;
    } cases[] = {
        {{"dir: 'x\n", 8}, 2},
        {{"dir: a\n\tb: c\n", 13}, 2},
        {{"a: [1, 2\nb: 3\n", 14}, 2},
        {{"dir: *nobody\n", 13}, 1},
        {{"a: b: c\n", 8}, 1},
        {{"ok: 1\ndir: \xff\n", 13}, 2},
        {{"ok: 1\n\ndir: \x01\n", 14}, 3},
        {{"dir: a\0b\n", 9}, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put("lockstep.yaml", cases[i].yaml);
        error_clear(&err);
        assert_false(settings_load(arena, &flags, ENV(), &s, &err));
        assert_int_equal(err.code, ERROR_USAGE);
        assert_memory_equal(err.message, "not YAML: ", 10);
        assert_string_equal(err.file, "lockstep.yaml");
        assert_int_equal(err.line, cases[i].line);
    }
}

/* Files that would take for ever, or all memory, if they were believed. */
static void
test_file_hostile(void **state)
{
    (void)state;
    StrBuf b = strbuf_new(arena, 3 << 20);
    strbuf_puts(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 30; i++)
        strbuf_printf(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1);
    put("lockstep.yaml", strbuf_str(&b));
    refused(ENV(), "the list 'a1' must hold plain values only", NULL);

    b = strbuf_new(arena, 3 << 20);
    for (int i = 0; i < 100000; i++)
        strbuf_printf(&b, "k%d: 1\n", i);
    put("lockstep.yaml", strbuf_str(&b));
    refused(ENV(), "more than 1000 keys", NULL);

    b = strbuf_new(arena, 3 << 20);
    for (int i = 0; i < 500000; i++)
        strbuf_puts(&b, "[[");
    put("lockstep.yaml", strbuf_str(&b));
    refused(ENV(), "more than 16 levels", NULL);

    b = strbuf_new(arena, 3 << 20);
    for (int i = 0; i <= 1 << 20; i++)
        strbuf_addc(&b, '#');
    put("lockstep.yaml", strbuf_str(&b));
    refused(ENV(), "'lockstep.yaml' is larger than 1 MiB", NULL);

    put("lockstep.yaml", STR("&a\nexpect: *a\nenvironments: *a\n"));
    error_clear(&err);
    assert_false(settings_load(arena, &flags, ENV("APP_ENV=environments"), &s, &err));
    assert_int_equal(err.code, ERROR_USAGE);
}

/* ---- the environment as a value ---- */

static void
test_environment(void **state)
{
    (void)state;
    char *const *env = ENV("A=1", "AB=2", "C=", "A=3", "D");
    assert_string_equal(env_get(env, "A"), "1");
    assert_string_equal(env_get(env, "C"), "");
    assert_null(env_get(env, "B"));
    assert_null(env_get(env, "D"));
    assert_null(env_get(NULL, "A"));
    char **without = env_without(arena, env, ((const char *const[]){"A", "X", NULL}));
    assert_string_equal(without[0], "AB=2");
    assert_string_equal(without[1], "C=");
    assert_string_equal(without[2], "D");
    assert_null(without[3]);
    char **with = env_with(arena, env, "A", "9");
    assert_string_equal(env_get(with, "A"), "9");
    assert_string_equal(with[3], "A=9");
    assert_null(with[4]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_table),
        TEST(test_flags_by_name),
        TEST(test_defaults),
        TEST(test_strength),
        TEST(test_environment_chosen),
        TEST(test_booleans_and_lists),
        TEST(test_auto_migrate),
        TEST(test_compat_is_not_read_where_lockstep_was_told),
        TEST(test_color),
        TEST(test_bad_values),
        TEST(test_unknown_variables),
        TEST(test_command),
        TEST(test_file_is_named),
        TEST(test_secrets),
        TEST(test_file_forms),
        TEST(test_file_complaints),
        TEST(test_file_nested_complaints),
        TEST(test_file_is_not_yaml),
        TEST(test_file_hostile),
        TEST(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
