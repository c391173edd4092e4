/* SPDX-License-Identifier: Apache-2.0 */
/* `detect`: which migrations and which database were found, and why. Connects to nothing. */

#include "cmd/cmd.h"
#include "cmd/output.h"

#include <string.h>

#include "core/banned.h"

typedef struct Detected {
    bool found;
    const Project *project; /* somebody else's tool; NULL = SQL files */
    Source source;
    UrlChoice choice;
} Detected;

static bool
detect(Cli *cli, Detected *ret, Error *err)
{
    Detected d = {0};
    Migrations m;
    if (!cli_find_migrations(cli, &m, err) || !cli_url(cli, &m, &d.choice, err))
        return false;
    if (m.found && !m.project && !source_scan(cli->arena, &m.source, &d.source, err))
        return false;
    d.found = m.found;
    d.project = m.project;
    *ret = d;
    return true;
}

static json_t *
json_words(Arena *arena, char *const *words, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n && words[i]; i++)
        json_array_append_new(list, output_json_text(arena, str_of(words[i])));
    return list;
}

static json_t *
json_command(Arena *arena, const Detected *d)
{
    if (d->project)
        return json_words(arena, d->project->apply, SIZE_MAX);
    return d->found ? json_pack("[ss]", "lockstep", "migrate") : json_null();
}

static const char *
tool_name(const Detected *d)
{
    return d->project ? d->project->tool->name : d->found ? "sql" : "none";
}

static json_t *
json_detected(Arena *arena, const Detected *d)
{
    const UrlChoice *choice = &d->choice;
    bool shown = choice->from || (d->found && !d->project);
    json_t *o = json_object();
    json_t *evidence = d->project
                           ? json_words(arena, d->project->evidence.p, d->project->evidence.n)
                           : json_array();
    json_object_set_new(o, "tool", json_string(tool_name(d)));
    if (d->found && !d->project)
        json_array_append_new(evidence, output_json_text(arena, str_of(d->source.dir)));
    json_object_set_new(o, "evidence", evidence);
    json_object_set_new(o, "command", json_command(arena, d));
    json_object_set_new(o, "database",
                        shown ? output_json_text(arena, str_of(choice->url.display)) : json_null());
    json_object_set_new(o, "database_from",
                        choice->from ? output_json_text(arena, str_of(choice->from))
                                     : (shown ? json_string("default") : json_null()));
    return o;
}

static void
print_project(const Project *p, StrBuf *out)
{
    strbuf_printf(out, "Tool        %s (", p->tool->title);
    for (size_t i = 0; i < p->evidence.n; i++)
        strbuf_printf(out, "%s%s", i ? ", " : "", p->evidence.p[i]);
    strbuf_puts(out, ")\nCommand    ");
    for (char **word = p->apply; *word; word++)
        strbuf_printf(out, " %s", *word);
    strbuf_addc(out, '\n');
}

static void
print_detected(Cli *cli, const Detected *d, StrBuf *out)
{
    if (d->project) {
        print_project(d->project, out);
    } else if (!d->found) {
        strbuf_puts(out, "Migrations  none found; looked in");
        for (size_t i = 0; source_default_dirs[i] != NULL; i++)
            strbuf_printf(out, "%s %s", i ? "," : "", source_default_dirs[i]);
        strbuf_printf(out, "%s\n", cli_why_none(cli));
    } else {
        const char *dir = setting_text(&cli->settings, SET_DIR);
        strbuf_printf(out, "Migrations  %s: %zu of format %s (%s)\n", d->source.dir,
                      d->source.migrations.n, d->source.format_name,
                      dir ? cli->settings.values[SET_DIR].origin
                          : "the first usual directory that holds some");
    }
    const UrlChoice *choice = &d->choice;
    bool unnamed = d->project && !choice->from;
    if (choice->from)
        strbuf_printf(out, "Database    %s (%s)\n", choice->url.display, choice->from);
    else if (unnamed)
        strbuf_puts(out, "Database    not known: nothing names one\n");
    else
        strbuf_printf(out, "Database    %s (the default: no setting or variable names one)\n",
                      choice->url.display);
    if (unnamed && choice->why)
        strbuf_printf(out, "            asked, %s said: %s\n", d->project->tool->title,
                      choice->why);
    if (unnamed)
        strbuf_puts(out, "\nSet DATABASE_URL, or LOCKSTEP_DATABASE_URL for migrating only.\n");
    else if (d->found)
        strbuf_puts(out, d->project ? "\nSee what is pending with `lockstep status`.\n"
                                    : "\nSee what would be done with `lockstep plan`.\n");
    else
        strbuf_puts(out, "\nName a directory with --dir, or begin with `lockstep new NAME`.\n");
}

int
cmd_detect(Cli *cli, Error *err)
{
    Detected d;
    const SettingValue *image = &cli->settings.values[SET_IMAGE];
    /* Asked for here: what `deploy` is told elsewhere does not count. */
    if (image->from == FROM_FLAG)
        return cmd_detect_image(cli, setting_text(&cli->settings, SET_IMAGE), err);
    if (!detect(cli, &d, err))
        return error_exit_status(err);
    if (cli_option(cli, "json"))
        return output_json(cli->arena, json_detected(cli->arena, &d), err) ? 0 : 1;
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    print_detected(cli, &d, &out);
    return output_write(strbuf_str(&out), err) ? 0 : 1;
}
