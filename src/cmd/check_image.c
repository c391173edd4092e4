/* SPDX-License-Identifier: Apache-2.0 */
/* `check --image`: what of this project is in the image that will be deployed, and what it starts.
 */

#include "cmd/check.h"
#include "deploy/image.h"
#include "deploy/look.h"

#include <string.h>

#include "core/banned.h"

static void
add(Cli *cli, Findings *ret, const char *rule, const char *file, char *message, const char *safer)
{
    const DeployRule *row = deploy_rule(rule);
    *vec_push(cli->arena, ret) = (Finding){.rule = rule,
                                           .severity = row ? row->severity : SEVERITY_WARNING,
                                           .file = file ? str_dup(cli->arena, str_of(file)) : NULL,
                                           .message = message,
                                           .safer = safer};
}

/* Each file of the migrations has to be at the same place below the image's working directory. */
static bool
look_for_files(Cli *cli, const Image *image, const char *dir, Findings *ret, Error *err)
{
    FsList entries;
    if (!fs_list(cli->arena, dir, &entries, err))
        return false;
    for (size_t i = 0; i < entries.n; i++) {
        const FsEntry *entry = &entries.p[i];
        const char *path = fs_join(cli->arena, dir, entry->name);
        bool cache = strcmp(entry->name, "__pycache__") == 0 || entry->name[0] == '.';
        if (cache || entry->target_kind == FS_OTHER || image_has(image, path))
            continue;
        add(cli, ret, "not-in-image", path,
            str_printf(cli->arena, "it is not in the image %s: it would not run", image->name),
            "Build the image from what is here, and look at .dockerignore and the COPY lines.");
    }
    return true;
}

/* A script that every container starts with. */
static void
look_at_start(Cli *cli, const Image *image, Findings *ret)
{
    size_t line = 0;
    Str said = image->entrypoint_script
                   ? deploy_migrating_line(image_text(image, image->entrypoint_script), &line)
                   : STR_ABSENT;
    if (!said.p)
        return;
    add(cli, ret, "entrypoint-migrates", image->entrypoint_script,
        str_printf(cli->arena,
                   "`" STR_FMT "` in what every container of %s starts with runs "
                   "without a lock",
                   STR_ARG(said), image->name),
        deploy_rule("entrypoint-migrates")->mend);
    ret->p[ret->n - 1].line = line;
}

bool
check_image(Cli *cli, const char *name, char *const *dirs, Findings *ret, Error *err)
{
    Image image;
    ImageOptions options = {.wait = &cli->wait, .environ_ = cli->environ_, .name = name};
    if (!cli_open_signals(cli, err) || !image_read(cli->arena, &options, &image, err))
        return false;
    for (; dirs && *dirs; dirs++)
        if (!look_for_files(cli, &image, *dirs, ret, err))
            return false;
    look_at_start(cli, &image, ret);
    return true;
}
