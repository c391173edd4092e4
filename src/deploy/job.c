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
    if (str_eq(event, STR("migration.started")))
        report->database = str_dup(arena, text_of(object, "database"));
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

static bool
cut(Str *text, Str start)
{
    if (!str_starts(*text, start))
        return false;
    *text = str_sub(*text, start.n, text->n);
    return true;
}

/* The same events as text, where nobody could ask for JSON. */
static void
note_text(Arena *arena, JobReport *report, Str message)
{
    static const Str run_mark = STR("(run ");
    Str rest = message;
    if (cut(&rest, STR("Migration applied: ")) || cut(&rest, STR("Migration rolled back: "))) {
        report->applied++;
        report->version = str_dup(arena, str_sub(rest, 0, str_find(rest, ' ')));
    } else if (cut(&rest, STR("Migration started: "))) {
        size_t at = str_find_str(rest, run_mark);
        if (at < rest.n && str_ends(rest, STR(")")))
            report->run_id = str_dup(arena, str_sub(rest, at + run_mark.n, rest.n - 1));
    } else if (cut(&rest, STR("Migration failed: ")) || cut(&rest, STR("error: "))) {
        report->error = str_dup(arena, secret_redact(arena, rest));
    }
    report->spoke = true;
}

void
job_line(Arena *arena, JobReport *report, Str line)
{
    Str trimmed = str_trim(line), words = trimmed;
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
    } else if (cut(&words, STR("lockstep: "))) {
        note_text(arena, report, words);
        log_info("deploy.output", "migration: " STR_FMT, STR_ARG(words));
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
    char killed[40];
    snprintf(killed, sizeof killed, "signal %d ended it", report->status - 128);
    for (int i = 1; i < ERROR_DEPLOY_UNDONE; i++)
        if (error_code_status((ErrorCode)i) == report->status)
            code = (ErrorCode)i;
    error_set(err, code, "%s failed with status %d: %s", what, report->status,
              report->error          ? report->error
              : report->status > 128 ? killed
                                     : error_code_meaning(code));
    if (report->run_id)
        error_detail(err, "run %s: `lockstep history` has its record", report->run_id);
    return false;
}

bool
job_ask_again(const JobReport *report, int attempt, Error *err)
{
    if (attempt < JOB_TRIES) {
        log_warn("deploy.again", "how the migration ended is not known: asking again");
        return true;
    }
    error_set(err, ERROR_FAILED, "nobody can say how the migration ended");
    error_detail(err, "%s", report->error ? report->error : "it printed nothing");
    return error_hint(err, "`lockstep status` and `lockstep history` with the service's database "
                           "tell.");
}
