/* SPDX-License-Identifier: Apache-2.0 */
/* What a line of a script or pipeline says, whatever file it stands in; Terraform by its blocks. */

#include <ctype.h>
#include <string.h>

#include "deploy/look_internal.h"
#include "core/banned.h"

enum { WINDOW_LINES = 40 };

/* A flag's number: 0 for one that is computed; -1 = the flag is not there. */
static int
flag_number(Str text, const char *flag)
{
    size_t at = str_find_str(text, str_of(flag));
    if (at >= text.n)
        return -1;
    at += strlen(flag);
    while (at < text.n && strchr(" \t=\"'", text.p[at]))
        at++;
    return at < text.n && isdigit((unsigned char)text.p[at]) ? text.p[at] - '0' : 0;
}

/* The command that begins in this line: with lines that go on after a backslash, or that begin with
 * a flag. */
static Str
whole_command(Str rest, Str line)
{
    const char *end = line.p + line.n;
    Str next, before = str_trim(line);
    for (int i = 0; i < WINDOW_LINES && look_next_line(&rest, &next); i++) {
        bool more = before.n && before.p[before.n - 1] == '\\';
        before = str_trim(next);
        if (!more && !str_starts(before, STR("--")))
            break;
        end = next.p + next.n;
    }
    return (Str){line.p, (size_t)(end - line.p)};
}

static void
look_at_gcloud(Scene *s, Place at, Str command)
{
    bool by_lockstep;
    int retries = flag_number(command, "--max-retries");
    if (!look_has(command, "migrat") && !look_migrates(command, &by_lockstep))
        return;
    if (retries != 0)
        look_add(s, LOOK_JOB_RETRIES, at, "%s",
                 retries < 0 ? "3 times, the default of Cloud Run" : "--max-retries is not 0");
    if (flag_number(command, "--task-timeout") < 0)
        look_add(s, LOOK_JOB_DEADLINE, at, "Cloud Run ends a task after 10 minutes");
}

static bool
trusts_any_host(Str line)
{
    size_t at = str_find_str(line, STR("StrictHostKeyChecking"));
    if (at == line.n)
        return false;
    at += strlen("StrictHostKeyChecking");
    while (at < line.n && strchr(" \t=\"':", line.p[at]))
        at++;
    return str_starts(str_sub(line, at, line.n), STR("no")) ||
           str_starts(str_sub(line, at, line.n), STR("off"));
}

void
look_at_lines(Scene *s, const SceneFile *f)
{
    bool env_file = look_has(f->text, "--env-file");
    Str rest = f->text, line;
    for (size_t number = 1; look_next_line(&rest, &line); number++) {
        Place at = {f, number};
        Str text = str_trim(line);
        if (!text.n || text.p[0] == '#' || str_starts(text, STR("//")))
            continue;
        if (trusts_any_host(text))
            look_add(s, LOOK_STRICT_HOST_KEY, at, "StrictHostKeyChecking=no");
        if (env_file && look_has(text, "config:export") && !look_has(text, "json"))
            look_add(s, LOOK_ENV_FILE_QUOTES, at, "%s",
                     look_has(text, "envfile") ? "config:export --format envfile"
                                               : "config:export");
        if (look_has(text, "manage.py check") && look_has(text, "--deploy") &&
            !look_has(text, "--fail-level"))
            look_add(s, LOOK_DEPLOY_CHECK_PASSES, at, "manage.py check --deploy");
        if (look_has(text, "run jobs deploy") || look_has(text, "run jobs create"))
            look_at_gcloud(s, at, whole_command(rest, line));
    }
}

/* ---- Terraform ---- */

/* The text between the braces of a block that begins at its `{`. */
static Str
block_at(Str text, size_t open)
{
    size_t depth = 0, at = open;
    for (; at < text.n; at++) {
        depth += text.p[at] == '{';
        depth -= text.p[at] == '}' && depth;
        if (!depth)
            break;
    }
    return str_sub(text, open, at);
}

void
look_at_terraform(Scene *s, const SceneFile *f)
{
    Str rest = f->text, line;
    for (size_t number = 1; look_next_line(&rest, &line); number++) {
        bool v2 = look_has(line, "\"google_cloud_run_v2_job\""), by_lockstep;
        if (!str_starts(str_trim(line), STR("resource")) ||
            (!v2 && !look_has(line, "\"google_cloud_run_job\"")))
            continue;
        Str after = str_sub(f->text, (size_t)(line.p - f->text.p), f->text.n);
        Str block = block_at(after, str_find(after, '{'));
        int retries = flag_number(block, "max_retries");
        if (!look_has(line, "migrat") && !look_has(line, "pre_deploy") &&
            !look_has(block, "migrat") && !look_migrates(block, &by_lockstep))
            continue;
        if (retries != 0)
            look_add(s, LOOK_JOB_RETRIES, (Place){f, number}, "%s",
                     retries < 0 ? "3 times, the default of Cloud Run" : "max_retries is not 0");
        if (!look_has(block, "timeout"))
            look_add(s, LOOK_JOB_DEADLINE, (Place){f, number},
                     "Cloud Run ends a task after 10 minutes");
    }
}
