/* SPDX-License-Identifier: Apache-2.0 */
/* What a migration that runs elsewhere says, understood and told here. */

#include "deploy/job.h"

#include <jansson.h>
#include <string.h>

#include "core/log.h"
#include "core/secret.h"
#include "core/banned.h"

static Str
text_of(const json_t *event, const char *name)
{
    const json_t *value = json_object_get(event, name);
    return json_is_string(value) ? (Str){json_string_value(value), json_string_length(value)}
                                 : STR_ABSENT;
}

static LogLevel
level_of(Str name)
{
    return str_eq(name, STR("error"))   ? LOG_ERROR
           : str_eq(name, STR("warn"))  ? LOG_WARN
           : str_eq(name, STR("debug")) ? LOG_DEBUG
                                        : LOG_INFO;
}

static void
note(Arena *arena, JobReport *report, Str event, const json_t *object)
{
    Str version = text_of(object, "version"), run = text_of(object, "run_id");
    if (run.n)
        report->run_id = str_dup(arena, run);
    if (str_eq(event, STR("migration.applied")) || str_eq(event, STR("migration.reverted"))) {
        report->applied++;
        if (version.n)
            report->version = str_dup(arena, version);
    }
    if (str_eq(text_of(object, "level"), STR("error")))
        report->error = str_dup(arena, text_of(object, "message"));
    report->spoke = true;
}

void
job_line(Arena *arena, JobReport *report, Str line)
{
    Str trimmed = str_trim(line);
    if (!trimmed.n)
        return;
    json_t *object = trimmed.p[0] == '{' ? json_loadb(trimmed.p, trimmed.n, 0, NULL) : NULL;
    Str event = text_of(object, "event"), message = text_of(object, "message");
    if (event.n && message.p) {
        char *name = str_dup(arena, event);
        note(arena, report, event, object);
        LogField fields[3] = {0};
        Str version = text_of(object, "version");
        size_t n = 0;
        if (report->run_id)
            fields[n++] = LOG_STR("run_id", str_of(report->run_id));
        if (version.n)
            fields[n++] = LOG_STR("version", version);
        log_event(level_of(text_of(object, "level")), name, fields, STR_FMT, STR_ARG(message));
        static const char *const more[] = {"detail", "hint"};
        for (size_t i = 0; i < COUNT_OF(more); i++) {
            Str text = text_of(object, more[i]);
            if (text.n)
                log_info(name, "    " STR_FMT, STR_ARG(text));
        }
    } else {
        log_info("deploy.output", "migration: " STR_FMT, STR_ARG(trimmed));
        /* A tool, or a lockstep that never came to its log. */
        if (!report->spoke)
            report->error = str_dup(arena, secret_redact(arena, trimmed));
    }
    json_decref(object);
}

bool
job_failed(const JobReport *report, const char *what, Error *err)
{
    ErrorCode code = ERROR_FAILED;
    for (int i = 1; i < ERROR_DEPLOY_UNDONE; i++)
        if (error_code_status((ErrorCode)i) == report->status)
            code = (ErrorCode)i;
    error_set(err, code, "%s failed with status %d: %s", what, report->status,
              report->error ? report->error : error_code_meaning(code));
    if (report->run_id)
        error_detail(err, "run %s: `lockstep history` has its record", report->run_id);
    return false;
}
