/* SPDX-License-Identifier: Apache-2.0 */
/* Which Dokku deploys: the one on this machine, or the one that the settings of the deploy name. */

#include <stdio.h>
#include <string.h>

#include "deploy/look_internal.h"
#include "proc/proc.h"
#include "core/banned.h"

enum { ASK_MS = 20000, ARGV_MAX = 12 };

typedef struct Answer {
    int major, minor, patch;
    bool known;
    char text[32];
} Answer;

/* "dokku version v0.38.27"; "0.30.1" in older ones. */
static void
on_line(void *ctx, int stream, Str line)
{
    Answer *answer = ctx;
    if (stream != 1 || answer->known)
        return;
    size_t at = line.n;
    while (at > 0 && line.p[at - 1] != ' ')
        at--;
    at += at < line.n && line.p[at] == 'v';
    snprintf(answer->text, sizeof answer->text, "%.*s", (int)(line.n - at), line.p + at);
    answer->known =
        sscanf(answer->text, "%d.%d.%d", &answer->major, &answer->minor, &answer->patch) == 3;
}

static bool
is_old(const Answer *a)
{
    int64_t number = (int64_t)a->major * 1000000 + (int64_t)a->minor * 1000 + a->patch;
    return number < 35004; /* 0.35.4 */
}

bool
look_at_dokku(Scene *s, const DeployLook *how, Error *err)
{
    const char *host = how->dokku_host;
    Answer answer = {0};
    int status = 1;
    bool far = host && *host && *host != '-';
    if (!how->ask_servers || !proc_which(s->arena, far ? "ssh" : "dokku", how->environ_))
        return true;
    /* With a port ssh takes it as a URL only. */
    bool bare = far && strchr(host, ':') && !str_starts(str_of(host), STR("ssh://"));
    char *target = str_printf(s->arena, "%s%s", bare ? "ssh://" : "", far ? host : "");
    const char *near[] = {"dokku", "version", NULL};
    const char *over[] = {"ssh", "-o",   "BatchMode=yes", "-o", "ConnectTimeout=10",
                          "-T",  target, "version",       NULL};
    char *argv[ARGV_MAX];
    for (size_t i = 0; i == 0 || argv[i - 1]; i++)
        argv[i] = str_dup(s->arena, str_of((far ? over : near)[i]));
    ChildSpec spec = {.argv = argv,
                      .envp = how->environ_,
                      .stdout_fd = -1,
                      .line = on_line,
                      .line_ctx = &answer,
                      .timeout_ms = ASK_MS};
    size_t before = s->findings->n;
    Error why = ERROR_INIT;
    if (!child_run(how->wait, &spec, &status, &why) && why.code == ERROR_SIGNALLED) {
        *err = why;
        return false;
    }
    if (answer.known && is_old(&answer))
        look_add(s, LOOK_DOKKU_VERSION, (Place){0}, "%s", answer.text);
    else if (!answer.known && far)
        look_add(s, LOOK_DOKKU_VERSION, (Place){0}, "did not say its version");
    if (!answer.known && s->findings->n > before)
        s->findings->p[before].severity = SEVERITY_INFO;
    return true;
}
