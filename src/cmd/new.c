/* SPDX-License-Identifier: Apache-2.0 */
/* `new NAME`: the next migration, in the directory's own format. */

#include "cmd/cmd.h"
#include "cmd/output.h"

#include "core/banned.h"

/* A directory that --dir names is made: `new` is how a project begins. */
static bool
choose_dir(Cli *cli, SourceOptions *source, Error *err)
{
    Migrations m;
    const char *dir = setting_text(&cli->settings, SET_DIR);
    if (dir && fs_kind(dir) == FS_ABSENT && !fs_make_dirs(dir, err))
        return false;
    if (!cli_find_migrations(cli, &m, err))
        return false;
    if (m.project) {
        error_set(err, ERROR_USAGE, "%s makes its migrations itself (%s)", m.project->tool->title,
                  m.project->evidence.n ? m.project->evidence.p[0] : m.project->dir);
        return error_hint(err, "Use its own command; --tool sql makes one of lockstep's own.");
    }
    *source = m.source;
    if (source->dir == NULL)
        source->dir = source_default_dirs[0];
    if (fs_kind(source->dir) == FS_ABSENT && !fs_make_dirs(source->dir, err))
        return false;
    return true;
}

int
cmd_new(Cli *cli, Error *err)
{
    SourceOptions options;
    Source source;
    char **paths;
    if (!choose_dir(cli, &options, err) || !source_scan(cli->arena, &options, &source, err) ||
        !source_new(cli->arena, &source, options.dir, cli->said.args[0], &paths, err))
        return error_exit_status(err);
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    for (; *paths != NULL; paths++)
        strbuf_printf(&out, "%s\n", *paths);
    return output_write(strbuf_str(&out), err) ? 0 : 1;
}
