/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The story on stderr: text lines for people, one JSON object a line for collectors, the same
 * events in both. One write(2) per line; control characters masked; secrets masked. Only the
 * floors run, deploy and cmd log. The sink is the one process-wide state (with the signal fd).
 */

#include "core/error.h"
#include "core/str.h"

typedef enum LogLevel { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG } LogLevel;
typedef enum LogFormat { LOG_TEXT, LOG_JSON } LogFormat;

typedef struct LogOptions {
    LogLevel level;
    LogFormat format;
    bool color;
    /* Called with each event as one JSON object (no newline), for notifications; NULL = none. */
    void (*tap)(void *ctx, const char *event, Str json);
    void *tap_ctx;
} LogOptions;

void log_setup(const LogOptions *options);
LogLevel log_level(void);

/* Fields of an event beside its message; end the list with {0}. Numbers by .number when .text.p
 * is NULL. */
typedef struct LogField {
    const char *name;
    Str text;
    int64_t number;
} LogField;
#define LOG_STR(name, value) ((LogField){(name), (value), 0})
#define LOG_INT(name, value) ((LogField){(name), STR_ABSENT, (value)})

/* `event` is a stable dotted name: migration.started, migration.applied, lock.waiting ... */
void log_event(LogLevel level, const char *event, const LogField *fields, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
#define log_info(event, ...)  log_event(LOG_INFO, (event), NULL, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, (event), NULL, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, (event), NULL, __VA_ARGS__)
/* The whole Error: message with position, then detail and hint on lines of their own (text), or as
 * fields (JSON). `prefix` begins the message ("Migration failed"), may be "". */
void log_failure(LogLevel level,
                 const char *event,
                 const char *prefix,
                 const LogField *fields,
                 const Error *err);
