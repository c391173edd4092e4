/* SPDX-License-Identifier: Apache-2.0 */
/* Help and versions, printed from the tables of commands, settings and exit codes. */

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "conf/version.h"
#include "core/version.h"
#include "db/version.h"
#include "deploy/version.h"
#include "sql/version.h"

#include <string.h>

#include "core/banned.h"

enum { HELP_CEILING = 1 << 20, NAME_COLUMN = 2, TEXT_COLUMN = 17, OPTION_TEXT_COLUMN = 6 };

const char help_about[] =
    "lockstep runs database migrations when software is deployed: once, however many replicas "
    "start, for PostgreSQL, MySQL, MariaDB and SQLite.";
const char help_start[] = "Start with `lockstep detect`, then `lockstep plan`.";
const char help_usage[] = "COMMAND [OPTIONS] [ARGUMENTS]";
const char help_strength[] =
    "Settings, strongest first: the option, the LOCKSTEP_* variable, a variable of other tools, "
    "lockstep.yaml, the default. Durations are `500ms`, `5s`, `10m`, `2h`; a bare number is "
    "seconds.";

const FilePart file_parts[] = {
    {"expect", "engine, version",
     "what the server must be; another one is refused before anything is applied"},
    {"deploy", "target, app, image, build, health, engine, version ...",
     "what `lockstep deploy` is about; engine and version are those of `expect`"},
    {"environments", "by name, the same keys again",
     "keys that are stronger than those outside, in the part that --environment names"},
    {0},
};

static void
add_heading(StrBuf *out, const char *text, bool color)
{
    char first = text[0] >= 'a' && text[0] <= 'z' ? (char)(text[0] - 'a' + 'A') : text[0];
    strbuf_printf(out, "\n%s%c%s:%s\n", style_on(STYLE_BOLD, color), first, text + 1,
                  style_off(color));
}

static void
add_row(StrBuf *out, const char *name, const char *text)
{
    size_t column = NAME_COLUMN + strlen(name);
    strbuf_printf(out, "  %s", name);
    if (column + 2 > TEXT_COLUMN) {
        strbuf_addc(out, '\n');
        column = 0;
    }
    output_wrap(out, text, column, TEXT_COLUMN);
}

static void
add_command(StrBuf *out, const Command *command)
{
    SCRATCH_ARENA(arena);
    add_row(out,
            command->alias ? str_printf(arena, "%s, %s", command->name, command->alias)
                           : command->name,
            command->summary);
}

bool
help_starts_group(const Command *command)
{
    for (const Command *c = commands; c != command; c++)
        if (strcmp(c->group, command->group) == 0)
            return false;
    return true;
}

void
help_overview(StrBuf *out, bool color)
{
    output_wrap(out, help_about, 0, 0);
    add_heading(out, "Usage", color);
    strbuf_printf(out, "  lockstep %s\n", help_usage);
    for (const Command *first = commands; first->name != NULL; first++) {
        if (!help_starts_group(first))
            continue;
        add_heading(out, first->group, color);
        for (const Command *c = first; c->name != NULL; c++)
            if (strcmp(c->group, first->group) == 0)
                add_command(out, c);
    }
    add_heading(out, "Options", color);
    SCRATCH_ARENA(arena);
    for (const CommonOption *o = common_options; o->flag != NULL; o++)
        add_row(out, str_printf(arena, "-%c, --%s", o->letter, o->flag), o->help);
    strbuf_printf(out, "\n%s\n`lockstep help settings` lists what every command takes.\n",
                  help_start);
}

static void
add_option(StrBuf *out, const char *flag, const char *arg, const char *help)
{
    strbuf_printf(out, "  --%s%s%s\n", flag, arg && *arg ? " " : "", arg ? arg : "");
    output_wrap(out, help, 0, OPTION_TEXT_COLUMN);
}

static bool
group_listed(const char *list, const char *group)
{
    if (list == NULL)
        return false;
    if (strcmp(list, "*") == 0)
        return true;
    size_t length = strlen(group);
    for (const char *p = list; *p != '\0';) {
        size_t word = strcspn(p, ",");
        if (word == length && strncmp(p, group, word) == 0)
            return true;
        p += word + (p[word] == ',');
    }
    return false;
}

bool
help_starts_settings(const char *list, SettingId id)
{
    const char *group = setting_row(id)->group;
    bool first = group_listed(list, group);
    for (size_t i = 0; i < id && first; i++)
        first = strcmp(setting_row((SettingId)i)->group, group) != 0;
    return first;
}

/* What is off unless said has no use for its opposite. */
bool
help_shows_no(const SettingRow *row)
{
    return row->type == SETTING_BOOL && row->value && strcmp(row->value, "true") == 0;
}

static void
add_setting(StrBuf *out, const SettingRow *row)
{
    strbuf_printf(out, "  --%s%s%s", row->flag, row->arg ? " " : "", row->arg ? row->arg : "");
    if (help_shows_no(row))
        strbuf_printf(out, ", --no-%s", row->flag);
    strbuf_addc(out, '\n');
    SCRATCH_ARENA(arena);
    StrBuf text = strbuf_new(arena, HELP_CEILING);
    strbuf_puts(&text, row->help);
    if (row->value)
        strbuf_printf(&text, " (default: %s)", row->value);
    if (row->variable[0])
        strbuf_printf(&text, " [%s]", row->variable);
    output_wrap(out, text.p, 0, OPTION_TEXT_COLUMN);
}

/* The settings of the groups in `list`, under a heading for each group. */
static void
add_settings(StrBuf *out, const char *list, bool color)
{
    for (size_t i = 0; i < SET_COUNT; i++) {
        const char *group = setting_row((SettingId)i)->group;
        if (!help_starts_settings(list, (SettingId)i))
            continue;
        add_heading(out, group, color);
        for (size_t k = i; k < SET_COUNT; k++) {
            const SettingRow *row = setting_row((SettingId)k);
            if (strcmp(row->group, group) == 0)
                add_setting(out, row);
        }
    }
}

static void
add_examples(StrBuf *out, const char *examples, bool color)
{
    add_heading(out, "Examples", color);
    for (const char *p = examples; *p != '\0';) {
        size_t length = strcspn(p, "\n");
        strbuf_puts(out, "  ");
        strbuf_add(out, (Str){p, length});
        strbuf_addc(out, '\n');
        p += length + (p[length] == '\n');
    }
}

void
help_command(StrBuf *out, const Command *command, bool color)
{
    output_wrap(out, command->summary, 0, 0);
    add_heading(out, "Usage", color);
    strbuf_printf(out, "  lockstep %s%s%s\n", command->name, *command->args ? " " : "",
                  command->args);
    if (command->alias)
        strbuf_printf(out, "  `lockstep %s` is the same.\n", command->alias);
    if (command->details) {
        strbuf_addc(out, '\n');
        output_wrap(out, command->details, 0, 0);
    }
    if (command->options) {
        add_heading(out, "Options", color);
        for (const CommandOption *o = command->options; o->flag != NULL; o++)
            add_option(out, o->flag, o->arg, o->help);
    }
    if (command->settings)
        add_settings(out, command->settings, color);
    if (command->examples)
        add_examples(out, command->examples, color);
    if (command->settings)
        strbuf_puts(out, "\n`lockstep help settings` lists every setting, its variable and file "
                         "key.\n");
}

char *
help_exit_status(Arena *arena, ErrorCode code)
{
    return str_printf(arena, "%d%s", error_code_status(code), code == ERROR_SIGNALLED ? "+N" : "");
}

void
help_settings(StrBuf *out, bool color)
{
    output_wrap(out, help_strength, 0, 0);
    add_settings(out, "*", color);
    add_heading(out, "Names of other tools, understood too", color);
    for (size_t i = 0; i < SET_COUNT; i++) {
        const SettingRow *row = setting_row((SettingId)i);
        if (row->compat[0])
            strbuf_printf(out, "  --%-14s %s\n", row->flag, row->compat);
    }
    add_heading(out, "Keys of lockstep.yaml", color);
    SCRATCH_ARENA(arena);
    StrBuf list = strbuf_new(arena, HELP_CEILING);
    for (size_t i = 0; i < SET_COUNT; i++)
        if (setting_row((SettingId)i)->key)
            strbuf_printf(&list, "%s%s", list.n ? ", " : "", setting_row((SettingId)i)->key);
    for (const FilePart *part = file_parts; part->name != NULL; part++)
        strbuf_printf(&list, ", %s (%s)", part->name, part->form);
    output_wrap(out, list.p, 0, NAME_COLUMN);
    add_heading(out, "Exit status", color);
    for (size_t i = 0; i < ERROR_COUNT; i++)
        add_row(out, help_exit_status(arena, (ErrorCode)i), error_code_meaning((ErrorCode)i));
}

void
help_version(Arena *arena, StrBuf *out)
{
    LibraryVersions libraries = {0};
    core_libraries(arena, &libraries);
    conf_libraries(arena, &libraries);
    sql_libraries(arena, &libraries);
    db_libraries(arena, &libraries);
    deploy_libraries(arena, &libraries);
    strbuf_puts(out, "lockstep " LOCKSTEP_VERSION "\n");
    for (size_t i = 0; i < libraries.n; i++)
        strbuf_printf(out, "%s %s\n", libraries.p[i].name, libraries.p[i].version);
}

static void
help_tools(Arena *arena, StrBuf *out, bool color)
{
    static const char *const titles[] = {"NAME", "TOOL", "FOUND BY", "VERSION TABLE"};
    Table table = table_new(arena, "<<<<", titles);
    for (int id = 0; id < TOOL_COUNT; id++) {
        const Tool *tool = tool_row((ToolId)id);
        if (!tool->markers[0])
            continue;
        table_add(&table, str_of(tool->name));
        table_add(&table, str_of(tool->title));
        table_add(&table, str_of(tool->markers[0]));
        table_add(&table, str_of(tool->table));
    }
    strbuf_puts(out,
                "Migration tools that are found by themselves, and their names for --tool:\n\n");
    table_print(&table, out, "  ", color);
    strbuf_puts(out,
                "\nSQL files are `sql`; `none` migrates nothing; --command names any other.\n");
}

static int
print(const StrBuf *out, Error *err)
{
    return output_write(strbuf_str(out), err) ? 0 : 1;
}

static bool
unknown_topic(Cli *cli, const char *topic, Error *err)
{
    bool man = cli_option(cli, "man") != NULL;
    const char *help = man ? "help --man" : "help";
    VEC(const char *) names = {0};
    for (const Command *c = commands; c->name != NULL; c++)
        *vec_push(cli->arena, &names) = c->name;
    *vec_push(cli->arena, &names) = man ? "lockstep.yaml" : "settings";
    if (!man)
        *vec_push(cli->arena, &names) = "tools";
    *vec_push(cli->arena, &names) = NULL;
    error_set(err, ERROR_USAGE, "there is no command '%s' to show help for", topic);
    const char *nearest = str_nearest(str_of(topic), names.p);
    if (nearest)
        return error_hint(err, "Did you mean `lockstep %s %s`?", help, nearest);
    return error_hint(err, "`lockstep help` lists the commands.");
}

int
cmd_help(Cli *cli, Error *err)
{
    StrBuf out = strbuf_new(cli->arena, HELP_CEILING);
    const char *topic = cli->said.args[0];
    const Command *command = topic ? command_find(str_of(topic)) : NULL;
    bool man = cli_option(cli, "man") != NULL;
    if (man && !man_write(&out, topic))
        return unknown_topic(cli, topic, err);
    if (man)
        return print(&out, err);
    if (command)
        help_command(&out, command, cli->stdout_color);
    else if (topic && strcmp(topic, "settings") == 0)
        help_settings(&out, cli->stdout_color);
    else if (topic && strcmp(topic, "tools") == 0)
        help_tools(cli->arena, &out, cli->stdout_color);
    else if (topic)
        return unknown_topic(cli, topic, err);
    else
        help_overview(&out, cli->stdout_color);
    return print(&out, err);
}

int
cmd_version(Cli *cli, Error *err)
{
    StrBuf out = strbuf_new(cli->arena, HELP_CEILING);
    help_version(cli->arena, &out);
    return print(&out, err);
}
