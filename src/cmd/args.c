/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. Options may stand before or after COMMAND, so what an option takes is known
 * from the tables without the command; whether it belongs to the command is checked at the end.
 */

#include "cmd/cmd.h"

#include <string.h>

#include "core/banned.h"

typedef struct Given {
    const char *flag, *value;
} Given;

typedef struct Parser {
    Arena *arena;
    char *const *argv;
    int argc, next;
    Invocation *out;
    VEC(Given) given; /* options of commands, checked once the command is known */
    VEC(char *) args;
} Parser;

const Command *
command_find(Str name)
{
    for (const Command *c = commands; c->name != NULL; c++)
        if (str_eq(name, str_of(c->name)) || (c->alias && str_eq(name, str_of(c->alias))))
            return c;
    return NULL;
}

static const CommandOption *
option_of(const Command *command, Str flag)
{
    for (const CommandOption *o = command->options; o && o->flag; o++)
        if (str_eq(flag, str_of(o->flag)))
            return o;
    return NULL;
}

static const CommandOption *
option_of_any(Str flag, const Command **ret_owner)
{
    for (const Command *c = commands; c->name != NULL; c++) {
        const CommandOption *o = option_of(c, flag);
        if (o) {
            *ret_owner = c;
            return o;
        }
    }
    return NULL;
}

static bool
unknown_option(Parser *p, Str flag, Error *err)
{
    VEC(const char *) names = {0};
    for (const CommonOption *o = common_options; o->flag != NULL; o++)
        *vec_push(p->arena, &names) = o->flag;
    for (size_t i = 0; i < SET_COUNT; i++) {
        const SettingRow *row = setting_row((SettingId)i);
        *vec_push(p->arena, &names) = row->flag;
        if (row->type == SETTING_BOOL)
            *vec_push(p->arena, &names) = str_printf(p->arena, "no-%s", row->flag);
    }
    for (const Command *c = commands; c->name != NULL; c++)
        for (const CommandOption *o = c->options; o && o->flag; o++)
            if (p->out->command == NULL || p->out->command == c)
                *vec_push(p->arena, &names) = o->flag;
    *vec_push(p->arena, &names) = NULL;

    error_set(err, ERROR_USAGE, "unknown option '--" STR_FMT "'", STR_ARG(flag));
    const char *nearest = str_nearest(flag, names.p);
    const char *command = p->out->command ? p->out->command->name : NULL;
    if (nearest)
        return error_hint(err, "Did you mean `--%s`?", nearest);
    if (command)
        return error_hint(err, "`lockstep %s --help` lists the options.", command);
    return error_hint(err, "`lockstep help settings` lists the options that every command takes.");
}

/* The value of an option that needs one: `--flag=value`, else the next argument. */
static bool
take_value(Parser *p, Str flag, Str inline_value, const char *arg, char **ret, Error *err)
{
    if (inline_value.p) {
        *ret = str_dup(p->arena, inline_value);
        return true;
    }
    if (p->next >= p->argc) {
        error_set(err, ERROR_USAGE, "option '--" STR_FMT "' needs a value", STR_ARG(flag));
        return error_hint(err, "Write `--" STR_FMT " %s`.", STR_ARG(flag), arg);
    }
    *ret = str_dup(p->arena, str_of(p->argv[p->next++]));
    return true;
}

static bool
refuse_value(Str flag, Str inline_value, Error *err)
{
    if (inline_value.p == NULL)
        return true;
    return error_set(err, ERROR_USAGE, "option '--" STR_FMT "' takes no value", STR_ARG(flag));
}

static bool
parse_setting(Parser *p, const SettingRow *row, bool negated, Str flag, Str value, Error *err)
{
    FlagValue said = {.id = row->id};
    if (negated) {
        if (!refuse_value(flag, value, err))
            return false;
        said.text = str_dup(p->arena, STR("false"));
    } else if (row->type == SETTING_BOOL) {
        bool ignored;
        said.text = str_dup(p->arena, value);
        /* `--migrate false` is understood where the help says `--migrate BOOL`. */
        if (value.p == NULL && row->arg && p->next < p->argc &&
            str_to_bool(str_of(p->argv[p->next]), &ignored))
            said.text = str_dup(p->arena, str_of(p->argv[p->next++]));
    } else if (!take_value(p, flag, value, row->arg, &said.text, err)) {
        return false;
    }
    *vec_push(p->arena, &p->out->flags) = said;
    return true;
}

static void
say_level(Parser *p, const char *level)
{
    FlagValue said = {.id = SET_LOG_LEVEL, .text = str_dup(p->arena, str_of(level))};
    *vec_push(p->arena, &p->out->flags) = said;
}

/* True in *ret_known for the switches that are neither settings nor a command's. */
static bool
parse_common(Parser *p, Str flag, Str value, bool *ret_known, Error *err)
{
    *ret_known = true;
    if (str_eq(flag, STR("help")))
        p->out->help = true;
    else if (str_eq(flag, STR("version")))
        p->out->version = true;
    else if (str_eq(flag, STR("quiet")))
        say_level(p, "error");
    else if (str_eq(flag, STR("verbose")))
        say_level(p, "debug");
    else
        *ret_known = false;
    return !*ret_known || refuse_value(flag, value, err);
}

static bool
parse_long(Parser *p, Str text, Error *err)
{
    size_t equals = str_find(text, '=');
    Str flag = str_sub(text, 0, equals);
    Str value = equals < text.n ? str_sub(text, equals + 1, text.n) : STR_ABSENT;

    bool known;
    if (!parse_common(p, flag, value, &known, err))
        return false;
    if (known)
        return true;

    /* A command's own option goes before a setting of the same name. */
    const Command *owner;
    const CommandOption *option = p->out->command ? option_of(p->out->command, flag) : NULL;
    bool negated = false;
    const SettingRow *row = option ? NULL : setting_by_flag(flag, &negated);
    if (row)
        return parse_setting(p, row, negated, flag, value, err);
    if (option == NULL)
        option = option_of_any(flag, &owner);
    if (option == NULL)
        return unknown_option(p, flag, err);

    Given given = {.flag = option->flag, .value = ""};
    if (option->arg) {
        char *taken;
        if (!take_value(p, flag, value, option->arg, &taken, err))
            return false;
        given.value = taken;
    } else if (!refuse_value(flag, value, err)) {
        return false;
    }
    *vec_push(p->arena, &p->given) = given;
    return true;
}

static bool
parse_short(Parser *p, const char *text, Error *err)
{
    for (const CommonOption *o = common_options; o->flag != NULL; o++) {
        bool known;
        if (text[1] == o->letter && text[2] == '\0')
            return parse_common(p, str_of(o->flag), STR_ABSENT, &known, err);
    }
    error_set(err, ERROR_USAGE, "unknown option '%s'", text);
    return error_hint(err, "Options are written out, as in `--dir`; `lockstep --help` lists them.");
}

static bool
unknown_command(Parser *p, const char *name, Error *err)
{
    VEC(const char *) names = {0};
    for (const Command *c = commands; c->name != NULL; c++) {
        *vec_push(p->arena, &names) = c->name;
        if (c->alias)
            *vec_push(p->arena, &names) = c->alias;
    }
    *vec_push(p->arena, &names) = NULL;
    error_set(err, ERROR_USAGE, "unknown command '%s'", name);
    const char *nearest = str_nearest(str_of(name), names.p);
    if (nearest)
        return error_hint(err, "Did you mean `lockstep %s`?", nearest);
    return error_hint(err, "`lockstep --help` lists the commands.");
}

/* Copies, so that the program's words keep their own storage apart from argv's order. */
static void
take_program(Parser *p)
{
    size_t count = (size_t)(p->argc - p->next);
    p->out->program = arena_array(p->arena, char *, count + 1);
    for (size_t i = 0; i < count; i++)
        p->out->program[i] = p->argv[p->next + (int)i];
    p->next = p->argc;
}

static bool
parse_word(Parser *p, Error *err)
{
    const char *word = p->argv[p->next];
    if (p->out->command == NULL) {
        p->out->command = command_find(str_of(word));
        p->next++;
        return p->out->command || unknown_command(p, word, err);
    }
    if (p->out->command->takes_program) {
        take_program(p);
        return true;
    }
    p->next++;
    *vec_push(p->arena, &p->args) = str_dup(p->arena, str_of(word));
    return true;
}

static bool
parse_words(Parser *p, Error *err)
{
    bool ended = false;
    while (p->next < p->argc) {
        const char *word = p->argv[p->next];
        if (!ended && strcmp(word, "--") == 0) {
            p->next++;
            ended = true;
            if (p->out->command && p->out->command->takes_program)
                take_program(p);
        } else if (!ended && strncmp(word, "--", 2) == 0) {
            p->next++;
            if (!parse_long(p, str_of(word + 2), err))
                return false;
        } else if (!ended && word[0] == '-' && word[1] != '\0') {
            p->next++;
            if (!parse_short(p, word, err))
                return false;
        } else if (!parse_word(p, err)) {
            return false;
        }
    }
    return true;
}

/* Is the value one of "a|b|c"? */
static bool
is_choice(Arena *arena, const char *choices, const char *value)
{
    for (const char *const *one = str_choices(arena, choices); value && *one; one++)
        if (strcmp(*one, value) == 0)
            return true;
    return false;
}

/* A flag that is a setting and a command's option too (`--format`: of migrations, of what is
 * printed): its value tells which is meant, wherever it stands. */
static bool
tell_apart(Parser *p, const Command *command, Error *err)
{
    size_t flags = p->out->flags.n, given = p->given.n, kept = 0;
    for (size_t i = 0; i < given; i++) {
        const Given one = p->given.p[i];
        const CommandOption *own = option_of(command, str_of(one.flag));
        bool negated, choice = own && own->arg && is_choice(p->arena, own->arg, one.value);
        const SettingRow *row = choice ? NULL : setting_by_flag(str_of(one.flag), &negated);
        if (row && own && !is_choice(p->arena, row->arg, one.value)) {
            error_set(err, ERROR_USAGE, "'--%s': '%s' is not one of %s", one.flag, one.value,
                      own->arg);
            const char *both = str_printf(p->arena, "%s|%s", own->arg, row->arg);
            const char *near = str_nearest(str_of(one.value), str_choices(p->arena, both));
            return near ? error_hint(err, "Did you mean '%s'?", near)
                        : error_hint(err, "Nor is it one of %s (%s).", row->arg, row->help);
        }
        if (row)
            *vec_push(p->arena, &p->out->flags) =
                (FlagValue){.id = row->id, .text = str_dup(p->arena, str_of(one.value))};
        else
            p->given.p[kept++] = one;
    }
    p->given.n = kept;
    size_t all = p->out->flags.n;
    kept = 0;
    for (size_t i = 0; i < all; i++) {
        const FlagValue one = p->out->flags.p[i];
        const CommandOption *own =
            i < flags ? option_of(command, str_of(setting_row(one.id)->flag)) : NULL;
        if (own && own->arg && is_choice(p->arena, own->arg, one.text))
            *vec_push(p->arena, &p->given) = (Given){.flag = own->flag, .value = one.text};
        else
            p->out->flags.p[kept++] = one;
    }
    p->out->flags.n = kept;
    return true;
}

static bool
settle_options(Parser *p, Error *err)
{
    const Command *command = p->out->command;
    size_t count = 0;
    if (!tell_apart(p, command, err))
        return false;
    while (command->options && command->options[count].flag)
        count++;
    p->out->options = arena_array(p->arena, const char *, count + 1);
    for (size_t i = 0; i < p->given.n; i++) {
        Str flag = str_of(p->given.p[i].flag);
        const CommandOption *own = option_of(command, flag);
        if (own == NULL) {
            const Command *owner = NULL;
            (void)option_of_any(flag, &owner);
            error_set(err, ERROR_USAGE, "`%s` has no option '--" STR_FMT "'", command->name,
                      STR_ARG(flag));
            return error_hint(err, "It is one of `lockstep %s`; `lockstep %s --help` lists yours.",
                              owner->name, command->name);
        }
        p->out->options[own - command->options] = p->given.p[i].value;
    }
    return true;
}

static bool
check_counts(const Parser *p, Error *err)
{
    const Command *command = p->out->command;
    if (command->takes_program && (p->out->program == NULL || p->out->program[0] == NULL)) {
        error_set(err, ERROR_USAGE, "`%s` needs the program to start", command->name);
        return error_hint(err,
                          "Write `lockstep %s -- PROGRAM [ARG...]`; to migrate and exit, "
                          "write `lockstep migrate`.",
                          command->name);
    }
    if (p->args.n < (size_t)command->min_args) {
        error_set(err, ERROR_USAGE, "`%s` needs %s", command->name, command->args);
        return error_hint(err, "Write `lockstep %s %s`.", command->name, command->args);
    }
    if (p->args.n > (size_t)command->max_args) {
        error_set(err, ERROR_USAGE, "unexpected argument '%s' for `%s`",
                  p->args.p[command->max_args], command->name);
        return error_hint(err, "`lockstep %s --help` says what it takes.", command->name);
    }
    return true;
}

bool
args_parse(Arena *arena, int argc, char *const *argv, Invocation *ret, Error *err)
{
    Invocation out = {0};
    Parser p = {.arena = arena, .argv = argv, .argc = argc, .next = 1, .out = &out};
    if (!parse_words(&p, err))
        return false;
    size_t count = p.args.n;
    *vec_push(arena, &p.args) = NULL;
    p.args.n = count;
    out.args = p.args.p;
    if (out.command && !out.help && !out.version &&
        (!settle_options(&p, err) || !check_counts(&p, err)))
        return false;
    *ret = out;
    return true;
}
