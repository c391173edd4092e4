/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages in roff, printed from the tables that help reads; tools/man writes them to
 * docs/man. They carry the version but no date, so that the same tables give the same bytes.
 */

#include "cmd/cmd.h"

#include <string.h>

#include "core/banned.h"

enum { VARIABLE_WIDTH = 32 };

/* ---- text ---- */

/* A control line begins with a dot or a quote; "-", "'", "`", "^" and "~" alone become signs of
 * typography, which cannot be pasted into a shell; '"' would end the argument of a macro. */
static void
add_char(StrBuf *out, char c)
{
    static const struct {
        char c;
        const char *roff;
    } specials[] = {{'\\', "\\(rs"}, {'-', "\\-"},   {'\'', "\\(aq"}, {'`', "\\(ga"},
                    {'"', "\\(dq"},  {'^', "\\(ha"}, {'~', "\\(ti"}};
    for (size_t i = 0; i < COUNT_OF(specials); i++) {
        if (c == specials[i].c) {
            strbuf_puts(out, specials[i].roff);
            return;
        }
    }
    if (c == '.' && (out->n == 0 || out->p[out->n - 1] == '\n'))
        strbuf_puts(out, "\\&");
    strbuf_addc(out, c);
}

/* Text of one line, as it is. */
static void
add_plain(StrBuf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        add_char(out, *p);
}

static void
add_font(StrBuf *out, char font, const char *text, size_t length)
{
    strbuf_printf(out, "\\f%c", font);
    for (size_t i = 0; i < length; i++)
        add_char(out, text[i]);
    strbuf_puts(out, "\\fR");
}

static bool
is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* roff sees the end of a sentence only at the end of a line. */
static bool
ends_sentence(const char *text, const char *p)
{
    return p != text && strchr(".?!", p[-1]) && *p == ' ' && (is_upper(p[1]) || p[1] == '`');
}

void
man_text(StrBuf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        const char *end = *p == '`' ? strchr(p + 1, '`') : NULL;
        if (end) {
            add_font(out, 'B', p + 1, (size_t)(end - p) - 1);
            p = end;
        } else if (p[0] == '\n' && p[1] == '\n') {
            strbuf_puts(out, "\n.PP\n");
            p++;
        } else if (*p == '\n') {
            strbuf_puts(out, "\n.br\n");
        } else if (ends_sentence(text, p)) {
            strbuf_addc(out, '\n');
        } else {
            add_char(out, *p);
        }
    }
    strbuf_addc(out, '\n');
}

/* What stands for something else, as in "--to VERSION", is written in capitals. A line may end
 * after each of the choices, which no narrow terminal has room for otherwise. */
static void
add_form(StrBuf *out, const char *form)
{
    for (const char *p = form; *p != '\0';) {
        size_t length = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_");
        if (length == 0) {
            add_char(out, *p);
            strbuf_puts(out, *p++ == '|' ? "\\:" : "");
            continue;
        }
        add_font(out, is_upper(*p) ? 'I' : 'B', p, length);
        p += length;
    }
}

/* ---- parts of a page ---- */

/* Names of commands and options must not be torn apart at the end of a line: nothing is hyphenated.
 * Each heading sets hyphenation anew from HY (groff 1.22), so that ".nh" would not last. Lines
 * without hyphens leave wide gaps when they are stretched to both margins. */
static void
begin_page(StrBuf *out, const char *title, char section, const char *summary)
{
    strbuf_puts(out, ".\\\" SPDX-License-Identifier: Apache-2.0\n"
                     ".\\\" Written by tools/man from the tables of the program.\n"
                     ".nr HY 0\n"
                     ".TH \"");
    add_plain(out, title);
    strbuf_printf(out, "\" %c \"\" \"", section);
    add_plain(out, "lockstep " LOCKSTEP_VERSION);
    strbuf_puts(out, "\" \"lockstep manual\"\n.ad l\n.SH NAME\n");
    add_plain(out, title);
    strbuf_puts(out, " \\- ");
    size_t length = strlen(summary);
    for (size_t i = 0; i < length; i++)
        if (i + 1 < length || summary[i] != '.')
            add_char(out, summary[i]);
    strbuf_addc(out, '\n');
}

static void
add_group(StrBuf *out, const char *group)
{
    char first = group[0] >= 'a' && group[0] <= 'z' ? (char)(group[0] - 'a' + 'A') : group[0];
    strbuf_printf(out, ".SS %c", first);
    add_plain(out, group + 1);
    strbuf_addc(out, '\n');
}

static void
begin_files(StrBuf *out)
{
    strbuf_puts(out, ".SH FILES\n.TP\n.I lockstep.yaml\n");
    man_text(out, setting_row(SET_CONFIG)->help);
}

static void
add_usage(StrBuf *out, const char *name, const char *form)
{
    strbuf_puts(out, "\\fBlockstep");
    if (name) {
        strbuf_addc(out, ' ');
        add_plain(out, name);
    }
    strbuf_puts(out, *form ? "\\fR " : "\\fR");
    add_form(out, form);
    strbuf_addc(out, '\n');
}

/* Lines as they are. */
static void
add_example(StrBuf *out, const char *lines, size_t length)
{
    strbuf_puts(out, ".RS 4\n.EX\n");
    for (size_t i = 0; i < length; i++)
        add_char(out, lines[i]);
    strbuf_puts(out, "\n.EE\n.RE\n");
}

/* "lockstep-run(1)" as other pages are named. */
static void
add_page(StrBuf *out, const char *title, char section, bool last)
{
    strbuf_puts(out, ".BR ");
    add_plain(out, title);
    strbuf_printf(out, " (%c)%s\n", section, last ? "" : ",");
}

static char *
title_of(Arena *arena, const Command *command)
{
    return str_printf(arena, "lockstep-%s", command->name);
}

/* ---- settings ---- */

/* "A,B" in bold, after what stands there already. */
static void
add_names(StrBuf *out, const char *names, bool first)
{
    for (const char *p = names; *p != '\0';) {
        size_t length = strcspn(p, ",");
        if (!first)
            strbuf_puts(out, ", ");
        first = false;
        add_font(out, 'B', p, length);
        p += length + (p[length] == ',');
    }
}

static void
add_help(StrBuf *out, const SettingRow *row)
{
    SCRATCH_ARENA(arena);
    man_text(out, row->value ? str_printf(arena, "%s (default: `%s`)", row->help, row->value)
                             : row->help);
}

static void
add_flag(StrBuf *out, const char *flag, const char *arg)
{
    SCRATCH_ARENA(arena);
    const char *text = str_printf(arena, "--%s", flag);
    add_font(out, 'B', text, strlen(text));
    if (arg && *arg) {
        strbuf_addc(out, ' ');
        add_form(out, arg);
    }
}

/* The ways to say it beside the option, strongest first. */
static void
add_other_ways(StrBuf *out, const SettingRow *row)
{
    bool variable = row->variable[0] != '\0', compat = row->compat[0] != '\0';
    if (!variable && !compat && !row->key)
        return;
    strbuf_puts(out, ".br\n[");
    add_names(out, row->variable, true);
    add_names(out, row->compat, !variable);
    if (row->key) {
        strbuf_puts(out, variable || compat ? "; file key " : "file key ");
        add_font(out, 'B', row->key, strlen(row->key));
    }
    strbuf_puts(out, "]\n");
}

static void
add_setting(StrBuf *out, const SettingRow *row)
{
    strbuf_puts(out, ".TP\n");
    add_flag(out, row->flag, row->arg);
    if (help_shows_no(row)) {
        SCRATCH_ARENA(arena);
        strbuf_puts(out, ", ");
        add_flag(out, str_printf(arena, "no-%s", row->flag), NULL);
    }
    strbuf_addc(out, '\n');
    add_help(out, row);
    add_other_ways(out, row);
}

/* A key of lockstep.yaml and what may stand after it. */
static void
add_key(StrBuf *out, const SettingRow *row)
{
    if (row->key == NULL)
        return;
    strbuf_puts(out, ".TP\n");
    add_font(out, 'B', row->key, strlen(row->key));
    strbuf_puts(out, ": ");
    bool list = row->type == SETTING_LIST;
    strbuf_puts(out, list ? "[" : "");
    add_form(out, row->type == SETTING_BOOL ? "true|false" : row->arg);
    strbuf_puts(out, list ? ", ...]\n" : "\n");
    add_help(out, row);
}

/* Each setting of the groups in `list`, under a heading for each group. */
static void
add_settings(StrBuf *out, const char *list, void (*add)(StrBuf *out, const SettingRow *row))
{
    for (size_t i = 0; i < SET_COUNT; i++) {
        const char *group = setting_row((SettingId)i)->group;
        if (!help_starts_settings(list, (SettingId)i))
            continue;
        add_group(out, group);
        for (size_t k = i; k < SET_COUNT; k++)
            if (strcmp(setting_row((SettingId)k)->group, group) == 0)
                add(out, setting_row((SettingId)k));
    }
}

/* ---- lockstep(1) ---- */

static void
add_commands(StrBuf *out)
{
    strbuf_puts(out,
                ".SH COMMANDS\nEach has a page of its own, \\fBlockstep\\-\\fICOMMAND\\fR(1).\n");
    for (const Command *first = commands; first->name != NULL; first++) {
        if (!help_starts_group(first))
            continue;
        add_group(out, first->group);
        for (const Command *c = first; c->name != NULL; c++) {
            if (strcmp(c->group, first->group) != 0)
                continue;
            strbuf_puts(out, ".TP\n");
            add_names(out, c->name, true);
            if (c->alias)
                add_names(out, c->alias, false);
            if (*c->args)
                strbuf_addc(out, ' ');
            add_form(out, c->args);
            strbuf_addc(out, '\n');
            man_text(out, c->summary);
        }
    }
}

static void
add_common_options(StrBuf *out)
{
    strbuf_puts(out, ".SH OPTIONS\n");
    for (const CommonOption *o = common_options; o->flag != NULL; o++) {
        strbuf_printf(out, ".TP\n\\fB\\-%c\\fR, ", o->letter);
        add_flag(out, o->flag, NULL);
        strbuf_addc(out, '\n');
        man_text(out, o->help);
    }
}

static void
add_variable(StrBuf *out, const char *names, const SettingRow *row)
{
    for (const char *p = names; *p != '\0';) {
        size_t length = strcspn(p, ",");
        strbuf_printf(out, ".TP %d\n", VARIABLE_WIDTH);
        add_font(out, 'B', p, length);
        strbuf_addc(out, '\n');
        add_flag(out, row->flag, NULL);
        strbuf_addc(out, '\n');
        p += length + (p[length] == ',');
    }
}

static void
add_environment(StrBuf *out)
{
    strbuf_puts(out, ".SH ENVIRONMENT\n");
    man_text(out,
             "Each variable below stands for an option. Where none of them names the database, "
             "those that frameworks and hosts use do, `DATABASE_URL` among them: `lockstep "
             "detect` tells which. In place of a variable `X` that names the database, "
             "`X_FILE` may name a file with its content.");
    strbuf_puts(out, ".PP\n.PD 0\n");
    for (size_t i = 0; i < SET_COUNT; i++) {
        const SettingRow *row = setting_row((SettingId)i);
        add_variable(out, row->variable, row);
        add_variable(out, row->compat, row);
    }
    strbuf_puts(out, ".PD\n");
}

static void
add_exit_status(StrBuf *out)
{
    SCRATCH_ARENA(arena);
    strbuf_puts(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        const char *status = help_exit_status(arena, (ErrorCode)i);
        strbuf_puts(out, ".TP\n");
        add_font(out, 'B', status, strlen(status));
        strbuf_addc(out, '\n');
        man_text(out, error_code_meaning((ErrorCode)i));
    }
}

/* The first example of each command: the others stand in its own page. */
static void
add_first_examples(StrBuf *out)
{
    strbuf_puts(out, ".SH EXAMPLES\n");
    for (const Command *c = commands; c->name != NULL; c++) {
        if (c->examples == NULL)
            continue;
        if (c != commands)
            strbuf_puts(out, ".PP\n");
        man_text(out, c->summary);
        add_example(out, c->examples, strcspn(c->examples, "\n"));
    }
}

static void
write_overview(StrBuf *out)
{
    SCRATCH_ARENA(arena);
    begin_page(out, "lockstep", '1', "database migrations when software is deployed");
    strbuf_puts(out, ".SH SYNOPSIS\n");
    add_usage(out, NULL, help_usage);
    strbuf_puts(out, ".SH DESCRIPTION\n");
    man_text(out, help_about);
    strbuf_puts(out, ".PP\n");
    man_text(out, help_start);
    add_commands(out);
    add_common_options(out);
    strbuf_puts(out, ".SH SETTINGS\n");
    man_text(out, help_strength);
    add_settings(out, "*", add_setting);
    add_exit_status(out);
    add_environment(out);
    begin_files(out);
    strbuf_puts(out, ".br\nIts keys stand in\n");
    add_page(out, "lockstep.yaml", '5', true);
    add_first_examples(out);
    /* tools/man finds the other pages here. */
    strbuf_puts(out, ".SH SEE ALSO\n");
    for (const Command *c = commands; c->name != NULL; c++)
        add_page(out, title_of(arena, c), '1', false);
    add_page(out, "lockstep.yaml", '5', true);
}

/* ---- lockstep-COMMAND(1) ---- */

static void
add_own_options(StrBuf *out, const Command *command)
{
    if (command->options == NULL)
        return;
    strbuf_puts(out, ".SH OPTIONS\n");
    for (const CommandOption *o = command->options; o->flag != NULL; o++) {
        strbuf_puts(out, ".TP\n");
        add_flag(out, o->flag, o->arg);
        strbuf_addc(out, '\n');
        man_text(out, o->help);
    }
}

static void
write_command(StrBuf *out, const Command *command)
{
    SCRATCH_ARENA(arena);
    begin_page(out, title_of(arena, command), '1', command->summary);
    strbuf_puts(out, ".SH SYNOPSIS\n");
    add_usage(out, command->name, command->args);
    if (command->alias) {
        strbuf_puts(out, ".br\n");
        add_usage(out, command->alias, command->args);
    }
    strbuf_puts(out, ".SH DESCRIPTION\n");
    man_text(out, command->summary);
    if (command->details) {
        strbuf_puts(out, ".PP\n");
        man_text(out, command->details);
    }
    add_own_options(out, command);
    if (command->settings) {
        strbuf_puts(out, ".SH SETTINGS\n");
        man_text(out, help_strength);
        add_settings(out, command->settings, add_setting);
    }
    if (command->examples) {
        strbuf_puts(out, ".SH EXAMPLES\n");
        add_example(out, command->examples, strlen(command->examples));
    }
    strbuf_puts(out, ".SH SEE ALSO\n");
    add_page(out, "lockstep", '1', false);
    add_page(out, "lockstep.yaml", '5', true);
}

/* ---- lockstep.yaml(5) ---- */

/* A test gives it to the reader of the file. */
static const char file_example[] = "dir: db/migrations\n"
                                   "lock_timeout: 2s\n"
                                   "expect:\n"
                                   "  engine: postgresql\n"
                                   "  version: \"15\"\n"
                                   "environments:\n"
                                   "  production:\n"
                                   "    statement_timeout: 10m\n"
                                   "    backup: /backups/";

static void
write_file_page(StrBuf *out)
{
    begin_page(out, "lockstep.yaml", '5', "settings of lockstep");
    strbuf_puts(out, ".SH DESCRIPTION\n");
    man_text(out, help_strength);
    strbuf_puts(out, ".PP\n");
    man_text(out, "A key that is not known is an error, told with its line and column.");
    strbuf_puts(out, ".SH KEYS\n");
    add_settings(out, "*", add_key);
    strbuf_puts(out, ".SS With keys of their own\n");
    for (const FilePart *part = file_parts; part->name != NULL; part++) {
        strbuf_puts(out, ".TP\n");
        add_font(out, 'B', part->name, strlen(part->name));
        strbuf_puts(out, ": (");
        add_plain(out, part->form);
        strbuf_puts(out, ")\n");
        man_text(out, part->help);
    }
    begin_files(out);
    strbuf_puts(out, ".SH EXAMPLES\n");
    add_example(out, file_example, strlen(file_example));
    strbuf_puts(out, ".SH SEE ALSO\n");
    add_page(out, "lockstep", '1', true);
}

bool
man_write(StrBuf *out, const char *topic)
{
    const Command *command = topic ? command_find(str_of(topic)) : NULL;
    if (topic == NULL)
        write_overview(out);
    else if (strcmp(topic, "lockstep.yaml") == 0)
        write_file_page(out);
    else if (command)
        write_command(out, command);
    else
        return false;
    return true;
}
