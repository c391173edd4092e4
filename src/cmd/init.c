/* SPDX-License-Identifier: Apache-2.0 */
/* `init PLATFORM`: the files that a platform needs, fitted to the project in this directory. */

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "deploy/files.h"

#include <string.h>

#include "core/banned.h"

static int
list_platforms(Cli *cli, Error *err)
{
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    static const char *const titles[] = {"PLATFORM", "FOR", NULL};
    Table table = table_new(cli->arena, "<<", titles);
    for (const DeployPlatform *p = deploy_platforms; p->name; p++) {
        table_add(&table, str_of(p->name));
        table_add(&table, str_of(p->title));
    }
    table_print(&table, &out, "", cli->stdout_color);
    strbuf_puts(&out, "\n`lockstep init PLATFORM` writes its files, and overwrites none.\n");
    return output_write(strbuf_str(&out), err) ? 0 : error_exit_status(err);
}

/* One file after the other, each below a line with its name; one alone as it is. */
static void
print_texts(const FilesPlan *plan, StrBuf *out)
{
    for (size_t i = 0; i < plan->files.n; i++) {
        if (plan->files.n > 1)
            strbuf_printf(out, "%s==> %s <==\n", i ? "\n" : "", plan->files.p[i].target);
        strbuf_add(out, plan->files.p[i].text);
    }
}

static void
print_indented(StrBuf *out, Str text)
{
    while (text.n) {
        size_t end = str_find(text, '\n');
        Str line = str_sub(text, 0, end);
        strbuf_printf(out, line.n ? "    " STR_FMT "\n" : "\n", STR_ARG(line));
        text = str_sub(text, end + 1, text.n);
    }
}

static const char *
said(const PlannedFile *file, bool force)
{
    switch (file->state) {
    case PLANNED_NEW:
        return "wrote";
    case PLANNED_SAME:
        return "kept ";
    case PLANNED_HAS:
    case PLANNED_OTHER:
        break;
    }
    return force ? "wrote" : "kept ";
}

static void
print_files(const FilesPlan *plan, bool force, StrBuf *out)
{
    for (size_t i = 0; i < plan->files.n; i++) {
        const PlannedFile *file = &plan->files.p[i];
        bool kept = file->state != PLANNED_NEW && !force;
        strbuf_printf(out, "%s  %s: %s\n", said(file, force), file->target,
                      !kept                          ? file->purpose
                      : file->state == PLANNED_OTHER ? "it was there; see below"
                      : file->state == PLANNED_HAS   ? "it has what it needs"
                                                     : "it is just so already");
    }
    for (size_t i = 0; i < plan->files.n && !force; i++) {
        const PlannedFile *file = &plan->files.p[i];
        if (file->state != PLANNED_OTHER)
            continue;
        strbuf_printf(out,
                      "\n%s was there and was left alone. Add to it (--force replaces it):\n\n",
                      file->target);
        print_indented(out, file->add);
    }
}

static void
print_project(const Facts *facts, StrBuf *out)
{
    strbuf_printf(out, "application  %s (%s)\n", facts->app, facts->app_from);
    if (facts->program)
        strbuf_printf(out, "program      %s (%s)\n", facts->program_shell, facts->program_from);
    strbuf_printf(out, "port         %d (%s)\n", facts->port,
                  facts->port_from ? facts->port_from : "default");
}

static void
print_plan(const DeployPlatform *platform, const FilesPlan *plan, bool force, StrBuf *out)
{
    strbuf_addc(out, '\n');
    print_files(plan, force, out);
    for (size_t i = 0; i < plan->notes.n; i++) {
        strbuf_addc(out, '\n');
        output_wrap(out, str_printf(out->arena, "note: %s", plan->notes.p[i]), 0, 6);
        strbuf_addc(out, '\n');
    }
    strbuf_printf(out, "\nNext, for %s:\n\n", platform->title);
    strbuf_add(out, plan->next);
}

int
cmd_init(Cli *cli, Error *err)
{
    Facts facts;
    FilesPlan plan;
    /* What follows PLATFORM, with or without "--", is the service's program. */
    const char *name = cli->said.args[0];
    char **program = name && cli->said.args[1] ? cli->said.args + 1 : NULL;
    bool force = cli_option(cli, "force") != NULL;
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    FactsOptions options = {.dir = ".",
                            .app = setting_text(&cli->settings, SET_APP),
                            .image = setting_text(&cli->settings, SET_IMAGE),
                            .lockstep_image = cli_option(cli, "from"),
                            .probe = setting_text(&cli->settings, SET_HEALTH_CHECK),
                            .port = cli_option(cli, "port"),
                            .program = program};
    if (!name)
        return list_platforms(cli, err);
    const DeployPlatform *platform = deploy_platform_find(name, err);
    if (!platform || !facts_find(cli->arena, &options, &facts, err) ||
        !files_plan(cli->arena, platform, &facts, options.dir, &plan, err))
        return error_exit_status(err);
    if (cli_option(cli, "stdout")) {
        print_texts(&plan, &out);
        return output_write(strbuf_str(&out), err) ? 0 : error_exit_status(err);
    }
    for (size_t i = 0; i < plan.files.n; i++) {
        const PlannedFile *file = &plan.files.p[i];
        bool writes = file->state == PLANNED_NEW || (force && file->state != PLANNED_SAME);
        if (writes && !files_write(file, options.dir, err))
            return error_exit_status(err);
    }
    print_project(&facts, &out);
    print_plan(platform, &plan, force, &out);
    return output_write(strbuf_str(&out), err) ? 0 : error_exit_status(err);
}
