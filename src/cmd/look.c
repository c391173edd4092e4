/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at files and database that changes nothing: a read-only connection, and for an SQLite file
 * that is not there yet an empty database in memory in its place, so that "everything is pending"
 * is no special case.
 */

#include "cmd/cmd.h"
#include "cmd/output.h"

#include <string.h>

#include "core/banned.h"

bool
cli_is_absent_file(const DbUrl *url)
{
    return url->engine == DB_SQLITE && url->database && strcmp(url->database, ":memory:") != 0 &&
           fs_kind(url->database) == FS_ABSENT;
}

static bool
stands_for_absent(Cli *cli, Look *look, Error *err)
{
    const DbUrl *url = look->options.url;
    if (!cli_is_absent_file(url))
        return true;
    DbUrl *memory = arena_make(cli->arena, DbUrl);
    if (!dburl_parse(cli->arena, STR("sqlite::memory:"), memory, err))
        return false;
    memory->display = url->display;
    look->options.url = memory;
    look->absent = true;
    return true;
}

bool
look_open(Cli *cli, bool check_content, Look *ret, Error *err)
{
    Look look = {0};
    if (!cli_migrate_options(cli, &look.options, &look.found, err))
        return false;
    /* Somebody looks on and wants an answer: a database that is not up is one. */
    if (!setting_is_set(&cli->settings, SET_WAIT))
        look.options.wait_ms = 0;
    if (!look.found) {
        *ret = look;
        return true;
    }
    if (!stands_for_absent(cli, &look, err) ||
        !run_connect(cli->arena, &cli->wait, &look.options, "lockstep", !look.absent, &look.db,
                     err))
        return false;
    look.survey = arena_make(cli->arena, Survey);
    if (!run_survey(cli->arena, look.db, &look.options, check_content, look.survey, err)) {
        db_close(look.db);
        return false;
    }
    *ret = look;
    return true;
}

void
look_close(Look *look)
{
    db_close(look->db);
    look->db = NULL;
}

const char *
look_tool(const Look *look)
{
    if (!look->found)
        return "none";
    return look->options.project ? look->options.project->tool->name : "sql";
}

json_t *
look_format(const Look *look)
{
    bool files = look->survey && !look->options.project;
    return files ? json_string(look->survey->source.format_name) : json_null();
}

void
look_print_source(const Look *look, StrBuf *out)
{
    const Project *p = look->options.project;
    if (p)
        strbuf_printf(out, "Tool       %s (%s)\n", p->tool->title,
                      p->evidence.n ? p->evidence.p[0] : p->dir);
    else
        strbuf_printf(out, "Directory  %s (%s)\n", look->survey->source.dir,
                      look->survey->source.format_name);
}
