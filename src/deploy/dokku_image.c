/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an image migrates in Dokku's release phase. */

#include "deploy/dokku.h"

#include <string.h>

#include "core/banned.h"

enum { BLOCK = 512, SIZE_AT = 124, SIZE_DIGITS = 12, OCTAL = 8 };

/* `docker cp CONTAINER:PATH -` prints a tar archive of that one file. */
static Str
only_file(Str tar)
{
    if (tar.n <= BLOCK)
        return STR_ABSENT;
    size_t size = 0;
    for (size_t i = SIZE_AT; i < SIZE_AT + SIZE_DIGITS; i++) {
        if (tar.p[i] < '0' || tar.p[i] > '7')
            break;
        size = size * OCTAL + (size_t)(tar.p[i] - '0');
    }
    return str_sub(tar, BLOCK, BLOCK + size);
}

static bool
read_file(Deploy *d, const char *container, const char *path, Str *ret, Error *err)
{
    Answer answer;
    Order copy = engine_order(d, "cp", "--follow-link",
                              str_printf(d->arena, "%s:%s", container, path), "-", NULL);
    copy.may_fail = true;
    if (!order_run(&d->orders, &copy, &answer, err))
        return false;
    *ret = answer.status == 0 ? only_file(answer.out) : STR_ABSENT;
    return true;
}

/* "release: COMMAND", the first of them; absent = none. */
static Str
release_line(Str procfile)
{
    for (Str rest = procfile; rest.n;) {
        size_t end = str_find(rest, '\n');
        Str line = str_trim(str_sub(rest, 0, end));
        size_t colon = str_find(line, ':');
        if (str_eq(str_trim(str_sub(line, 0, colon)), STR("release")) && colon < line.n)
            return str_trim(str_sub(line, colon + 1, line.n));
        rest = str_sub(rest, end < rest.n ? end + 1 : rest.n, rest.n);
    }
    return STR_ABSENT;
}

/* Dokku's own name for it: run in the image, which is then kept as the container left it. */
static Str
predeploy_task(Deploy *d, Str app_json)
{
    AUTO_JSON *app = app_json.p ? json_loadb(app_json.p, app_json.n, 0, NULL) : NULL;
    return str_copy(d->arena, value_text(app, "scripts.dokku.predeploy"));
}

static bool
has_lockstep(Str command)
{
    return str_find_str(command, STR("lockstep")) < command.n;
}

static bool
find_task(Deploy *d, const char *container, const char *folder, const char **ret, Error *err)
{
    Str procfile, app_json;
    const char *path = str_printf(d->arena, "%s/Procfile", folder);
    const char *other = str_printf(d->arena, "%s/app.json", folder);
    if (!read_file(d, container, path, &procfile, err) ||
        !read_file(d, container, other, &app_json, err))
        return false;
    Str task = release_line(procfile), before = predeploy_task(d, app_json);
    *ret = has_lockstep(task)     ? str_dup(d->arena, task)
           : has_lockstep(before) ? str_dup(d->arena, before)
                                  : NULL;
    return true;
}

/* Both files are looked for where Dokku looks: in the image's working directory. */
bool
dokku_release_task(Deploy *d, const char **ret, Error *err)
{
    AUTO_JSON *image = NULL;
    const char *name = str_printf(d->arena, "%s.procfile-%s", d->options->app, d->id);
    if (!engine_inspect(d, "image", d->image, &image, err))
        return false;
    Str folder = value_text(image, "Config.WorkingDir");
    if (str_eq(folder, STR("/")))
        folder = STR("");
    Order create =
        engine_order(d, "create", "--name", name, "--entrypoint", "lockstep", d->image, NULL);
    if (!order_run(&d->orders, &create, NULL, err))
        return false;
    bool done = find_task(d, name, folder.p ? str_dup(d->arena, folder) : "", ret, err);
    Order rm = engine_order(d, "rm", "--force", name, NULL);
    Error ignored = ERROR_INIT;
    rm.may_fail = true;
    wait_cleanup_begin(d->orders.wait);
    (void)!order_run(&d->orders, &rm, NULL, &ignored);
    wait_cleanup_end(d->orders.wait);
    return done;
}
