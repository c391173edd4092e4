/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts for bash, zsh and fish, printed from the tables of commands and settings. */

#include "cmd/cmd.h"
#include "cmd/output.h"

#include <string.h>

#include "core/banned.h"

/* An option as the three shells see it, whichever table it comes from. */
typedef struct Option {
    const char *flag, *arg, *help;
    bool takes_value;    /* in a word of its own */
    const char *choices; /* "a|b|c", NULL = anything */
} Option;

typedef void EachOption(StrBuf *out, const Option *option, const Command *command);

static Option
option_of_setting(const SettingRow *row)
{
    Option o = {.flag = row->flag, .arg = row->arg, .help = row->help};
    o.takes_value = row->type != SETTING_BOOL;
    o.choices = row->type == SETTING_CHOICE ? row->arg : NULL;
    return o;
}

static Option
option_of_command(const CommandOption *own)
{
    Option o = {.flag = own->flag, .arg = own->arg, .help = own->help};
    o.takes_value = own->arg != NULL;
    o.choices = own->arg && strchr(own->arg, '|') ? own->arg : NULL;
    return o;
}

/* Options that every command takes: `command` is NULL for them. */
static void
each_setting(StrBuf *out, EachOption *call)
{
    static const Option common[] = {{.flag = "help", .help = "show help"},
                                    {.flag = "version", .help = "show the version"},
                                    {.flag = "quiet", .help = "log errors only"},
                                    {.flag = "verbose", .help = "log details too"}};
    for (size_t i = 0; i < COUNT_OF(common); i++)
        call(out, &common[i], NULL);
    for (size_t i = 0; i < SET_COUNT; i++) {
        const SettingRow *row = setting_row((SettingId)i);
        Option option = option_of_setting(row);
        call(out, &option, NULL);
    }
}

static void
each_option(StrBuf *out, const Command *command, EachOption *call)
{
    for (const CommandOption *own = command->options; own && own->flag; own++) {
        Option option = option_of_command(own);
        call(out, &option, command);
    }
}

/* "a|b|c" with another mark between. */
static void
add_choices(StrBuf *out, const char *choices, char between)
{
    for (const char *p = choices; *p != '\0'; p++)
        strbuf_addc(out, *p == '|' ? between : *p);
}

static void
add_commands(StrBuf *out, char between)
{
    for (const Command *c = commands; c->name != NULL; c++) {
        if (c != commands)
            strbuf_addc(out, between);
        strbuf_puts(out, c->name);
        if (c->alias)
            strbuf_printf(out, "%c%s", between, c->alias);
    }
}

/* "name|alias", as all three write alternatives in patterns. */
static void
add_names(StrBuf *out, const Command *command, char between)
{
    strbuf_puts(out, command->name);
    if (command->alias)
        strbuf_printf(out, "%c%s", between, command->alias);
}

/* ---- bash ---- */

static void
bash_word(StrBuf *out, const Option *option, const Command *command)
{
    (void)command;
    strbuf_printf(out, " --%s", option->flag);
}

/* The choices of commands' options of that name: a flag may be both, told apart by its value. */
static void
add_choices_of_commands(StrBuf *out, const char *flag)
{
    const char *last = NULL;
    for (const Command *c = commands; c->name != NULL; c++)
        for (const CommandOption *own = c->options; own && own->flag; own++) {
            if (strcmp(own->flag, flag) != 0 || !own->arg || own->arg == last)
                continue;
            strbuf_addc(out, ' ');
            add_choices(out, own->arg, ' ');
            last = own->arg;
        }
}

static void
bash_value(StrBuf *out, const Option *option, const Command *command)
{
    bool negated;
    /* Of two arms bash would take the first. */
    if (!option->takes_value || (command && setting_by_flag(str_of(option->flag), &negated)))
        return;
    strbuf_printf(out, "    --%s)\n        ", option->flag);
    if (option->choices) {
        strbuf_puts(out, "COMPREPLY=($(compgen -W \"");
        add_choices(out, option->choices, ' ');
        if (!command)
            add_choices_of_commands(out, option->flag);
        strbuf_puts(out, "\" -- \"$cur\"))\n");
    } else if (strcmp(option->arg, "DIR") == 0) {
        strbuf_puts(out, "COMPREPLY=($(compgen -d -- \"$cur\"))\n");
    } else {
        strbuf_puts(out, "COMPREPLY=($(compgen -f -- \"$cur\"))\n");
    }
    strbuf_puts(out, "        return ;;\n");
}

static void
write_bash(StrBuf *out)
{
    strbuf_puts(out, "# bash completion for lockstep\n"
                     "_lockstep() {\n"
                     "    local cur prev command words i\n"
                     "    cur=${COMP_WORDS[COMP_CWORD]}\n"
                     "    prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                     "    command=\n"
                     "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                     "        case ${COMP_WORDS[i]} in\n"
                     "        ");
    add_commands(out, '|');
    strbuf_puts(out, ")\n            command=${COMP_WORDS[i]}\n            break ;;\n"
                     "        esac\n    done\n"
                     "    case $prev in\n");
    each_setting(out, bash_value);
    for (const Command *c = commands; c->name != NULL; c++)
        each_option(out, c, bash_value);
    strbuf_puts(out, "    esac\n    words=\"");
    each_setting(out, bash_word);
    strbuf_puts(out, "\"\n    case $command in\n");
    for (const Command *c = commands; c->name != NULL; c++) {
        if (c->options == NULL)
            continue;
        strbuf_puts(out, "    ");
        add_names(out, c, '|');
        strbuf_puts(out, ") words=\"$words");
        each_option(out, c, bash_word);
        strbuf_puts(out, "\" ;;\n");
    }
    strbuf_puts(out, "    esac\n"
                     "    if [[ $cur == -* ]]; then\n"
                     "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                     "    elif [[ -z $command || $command == help ]]; then\n"
                     "        COMPREPLY=($(compgen -W \"");
    add_commands(out, ' ');
    strbuf_puts(out, "\" -- \"$cur\"))\n"
                     "    elif [[ $command == completion ]]; then\n"
                     "        COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$cur\"))\n"
                     "    else\n"
                     "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                     "    fi\n}\n"
                     "complete -o filenames -F _lockstep lockstep\n");
}

/* ---- zsh ---- */

/* Text within '...' within _arguments' own syntax. */
static void
zsh_text(StrBuf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'') {
            strbuf_puts(out, "'\\''");
            continue;
        }
        if (strchr("[]:\\", *p))
            strbuf_addc(out, '\\');
        strbuf_addc(out, *p);
    }
}

static void
zsh_option(StrBuf *out, const Option *option, const Command *command)
{
    (void)command;
    strbuf_printf(out, "        '--%s%s[", option->flag, option->takes_value ? "=" : "");
    zsh_text(out, option->help);
    strbuf_addc(out, ']');
    if (option->choices) {
        strbuf_puts(out, ":value:(");
        add_choices(out, option->choices, ' ');
        strbuf_addc(out, ')');
    } else if (option->takes_value) {
        strbuf_puts(out,
                    strcmp(option->arg, "DIR") == 0 ? ":directory:_files -/" : ":value:_files");
    }
    strbuf_puts(out, "'\n");
}

/* A command's own option of a setting's name stands in its place. */
static void
zsh_replaced(StrBuf *out, const Option *option, const Command *command)
{
    bool negated;
    (void)command;
    if (setting_by_flag(str_of(option->flag), &negated))
        strbuf_printf(out, " options=(${options:#--%s=*})", option->flag);
}

static void
write_zsh(StrBuf *out)
{
    strbuf_puts(out, "#compdef lockstep\n"
                     "_lockstep() {\n"
                     "    local -a commands options\n"
                     "    commands=(\n");
    for (const Command *c = commands; c->name != NULL; c++) {
        strbuf_printf(out, "        '%s:", c->name);
        zsh_text(out, c->summary);
        strbuf_puts(out, "'\n");
    }
    strbuf_puts(out, "    )\n    options=(\n");
    each_setting(out, zsh_option);
    strbuf_puts(out, "    )\n    case ${words[(r)(");
    add_commands(out, '|');
    strbuf_puts(out, ")]} in\n");
    for (const Command *c = commands; c->name != NULL; c++) {
        if (c->options == NULL)
            continue;
        strbuf_puts(out, "    ");
        add_names(out, c, '|');
        strbuf_puts(out, ")");
        each_option(out, c, zsh_replaced);
        strbuf_puts(out, " options+=(\n");
        each_option(out, c, zsh_option);
        strbuf_puts(out, "    ) ;;\n");
    }
    strbuf_puts(out, "    esac\n"
                     "    _arguments -S $options '1:command:{_describe command commands}' "
                     "'*:argument:_files'\n"
                     "}\n"
                     "if [[ $funcstack[1] == _lockstep ]]; then\n"
                     "    _lockstep \"$@\"\n"
                     "else\n"
                     "    compdef _lockstep lockstep\n"
                     "fi\n");
}

/* ---- fish ---- */

static void
fish_text(StrBuf *out, const char *text)
{
    strbuf_addc(out, '\'');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\')
            strbuf_addc(out, '\\');
        strbuf_addc(out, *p);
    }
    strbuf_addc(out, '\'');
}

/* A setting, but not behind commands that have an option of their own of that name. */
static void
fish_unless_own(StrBuf *out, const char *flag)
{
    bool any = false;
    for (const Command *c = commands; c->name != NULL; c++)
        for (const CommandOption *own = c->options; own && own->flag; own++) {
            if (strcmp(own->flag, flag) != 0)
                continue;
            strbuf_puts(out, any ? " " : " -n 'not __fish_seen_subcommand_from ");
            add_names(out, c, ' ');
            any = true;
        }
    strbuf_puts(out, any ? "'" : "");
}

static void
fish_option(StrBuf *out, const Option *option, const Command *command)
{
    strbuf_puts(out, "complete -c lockstep");
    if (command) {
        strbuf_puts(out, " -n '__fish_seen_subcommand_from ");
        add_names(out, command, ' ');
        strbuf_addc(out, '\'');
    } else {
        fish_unless_own(out, option->flag);
    }
    strbuf_printf(out, " -l %s", option->flag);
    if (option->choices) {
        strbuf_puts(out, " -x -a '");
        add_choices(out, option->choices, ' ');
        strbuf_addc(out, '\'');
    } else if (option->takes_value) {
        strbuf_puts(out, " -r");
    }
    strbuf_puts(out, " -d ");
    fish_text(out, option->help);
    strbuf_addc(out, '\n');
}

static void
write_fish(StrBuf *out)
{
    strbuf_puts(out, "# fish completion for lockstep\n");
    for (const Command *c = commands; c->name != NULL; c++) {
        strbuf_printf(out, "complete -c lockstep -n __fish_use_subcommand -f -a %s -d ", c->name);
        fish_text(out, c->summary);
        strbuf_addc(out, '\n');
    }
    strbuf_puts(out, "complete -c lockstep -n '__fish_seen_subcommand_from completion' -f "
                     "-a 'bash zsh fish'\n"
                     "complete -c lockstep -n '__fish_seen_subcommand_from help' -f -a '");
    add_commands(out, ' ');
    strbuf_puts(out, "'\n");
    each_setting(out, fish_option);
    for (const Command *c = commands; c->name != NULL; c++)
        each_option(out, c, fish_option);
}

bool
completion_write(StrBuf *out, const char *shell)
{
    static const struct {
        const char *name;
        void (*write)(StrBuf *out);
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].write(out);
            return true;
        }
    }
    return false;
}

int
cmd_completion(Cli *cli, Error *err)
{
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    const char *shell = cli->said.args[0];
    if (!completion_write(&out, shell)) {
        error_set(err, ERROR_USAGE, "there is no completion for '%s'", shell);
        error_hint(err, "Name one of bash, zsh, fish.");
        return 2;
    }
    return output_write(strbuf_str(&out), err) ? 0 : 1;
}
