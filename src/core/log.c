/* SPDX-License-Identifier: Apache-2.0 */
/* Events to stderr, as text or as JSON lines; the one sink of the process. */

#include "core/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/secret.h"
#include "core/banned.h"

/* A text may be as long as a server's notice. The longest growth on the way is that of a line end
 * with the indent behind it. */
enum { TEXT_CEILING = 64 * 1024, INDENT_CEILING = 16, LINE_CEILING = TEXT_CEILING * 24 };

static LogOptions sink = {.level = LOG_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void
log_setup(const LogOptions *options)
{
    sink = *options;
}

LogLevel
log_level(void)
{
    return sink.level;
}

static void
write_line(Str line)
{
    while (line.n) {
        ssize_t n = write(STDERR_FILENO, line.p, line.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody reads the log: the work goes on */
        line = str_sub(line, (size_t)n, line.n);
    }
}

/* Without secrets, and no longer than a line may be. */
static Str
shown(Arena *arena, Str text)
{
    Str masked = secret_redact(arena, text);
    if (masked.n <= TEXT_CEILING)
        return masked;
    size_t n = TEXT_CEILING;
    while (n && ((unsigned char)masked.p[n] & 0xc0) == 0x80)
        n--;
    return str_of(str_printf(arena, STR_FMT "...", STR_ARG(str_sub(masked, 0, n))));
}

/* Control characters, those above 0x7f included, as \xNN: a terminal must not obey a server's
 * message. A line end begins a new, indented line. */
static void
add_masked(StrBuf *out, Str text, const char *indent)
{
    size_t bad;
    bool utf8 = str_is_utf8(text, &bad);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool high_control = c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0;
        if (c == '\n') {
            strbuf_printf(out, "\n%s", indent);
        } else if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
            continue;
        } else if (utf8 && high_control) {
            strbuf_printf(out, "\\x%02x", (unsigned char)text.p[++i]);
        } else if ((c < 0x20 && c != '\t') || c == 0x7f || (c > 0x7f && !utf8)) {
            strbuf_printf(out, "\\x%02x", c);
        } else {
            strbuf_addc(out, (char)c);
        }
    }
}

static json_t *
json_text(Arena *arena, Str text)
{
    Str masked = shown(arena, text);
    json_t *value = json_stringn(masked.p ? masked.p : "", masked.n);
    if (value)
        return value;
    /* Not UTF-8 (a server's message in another encoding): keep what is ASCII. */
    char *ascii = str_dup(arena, masked);
    for (size_t i = 0; i < masked.n; i++) {
        if ((unsigned char)ascii[i] >= 0x80)
            ascii[i] = '?';
    }
    return json_stringn(ascii, masked.n);
}

static void
set_text(json_t *event, Arena *arena, const char *key, const char *text)
{
    if (text[0])
        json_object_set_new(event, key, json_text(arena, str_of(text)));
}

static void
set_number(json_t *event, const char *key, size_t number)
{
    if (number)
        json_object_set_new(event, key, json_integer((json_int_t)number));
}

static Str
event_json(Arena *arena,
           LogLevel level,
           const char *name,
           const LogField *fields,
           Str message,
           const Error *err)
{
    json_t *event = json_object();
    json_object_set_new(event, "time", json_string(clock_rfc3339(arena)));
    json_object_set_new(event, "level", json_string(level_names[level]));
    json_object_set_new(event, "event", json_string(name));
    json_object_set_new(event, "message", json_text(arena, message));
    for (; fields && fields->name; fields++)
        json_object_set_new(event, fields->name,
                            fields->text.p ? json_text(arena, fields->text)
                                           : json_integer(fields->number));
    if (err) {
        json_object_set_new(event, "code", json_string(error_code_name(err->code)));
        set_text(event, arena, "sqlstate", err->sqlstate);
        set_text(event, arena, "detail", err->detail);
        set_text(event, arena, "hint", err->hint);
        set_text(event, arena, "file", err->file);
        set_number(event, "line", err->line);
        set_number(event, "column", err->column);
    }
    char *text = json_dumps(event, JSON_COMPACT);
    Str line = str_copy(arena, str_of(text ? text : "{}"));
    json_decref(event);
    free(text);
    return line;
}

static const char *
level_words(LogLevel level, bool has_prefix)
{
    if (has_prefix || level == LOG_INFO)
        return "";
    if (level == LOG_DEBUG)
        return sink.color ? "\033[2mdebug:\033[0m " : "debug: ";
    if (level == LOG_WARN)
        return sink.color ? "\033[33mwarning:\033[0m " : "warning: ";
    return sink.color ? "\033[31merror:\033[0m " : "error: ";
}

static void
add_part(StrBuf *out, const char *name, Str text)
{
    char indent[INDENT_CEILING];
    text = str_trim(text);
    if (!text.n)
        return;
    snprintf(indent, sizeof indent, "  %*s", (int)strlen(name) + 2, "");
    strbuf_printf(out, "  %s: ", name);
    add_masked(out, text, indent);
    strbuf_addc(out, '\n');
}

static void
emit(Arena *arena,
     LogLevel level,
     const char *name,
     const LogField *fields,
     Str message,
     bool has_prefix,
     const Error *err)
{
    if (sink.tap || (sink.format == LOG_JSON && level <= sink.level)) {
        Str json = event_json(arena, level, name, fields, message, err);
        if (sink.tap)
            sink.tap(sink.tap_ctx, name, json);
        if (sink.format == LOG_JSON && level <= sink.level) {
            StrBuf line = strbuf_new(arena, json.n + 1);
            strbuf_add(&line, json);
            strbuf_addc(&line, '\n');
            write_line(strbuf_str(&line));
        }
    }
    if (sink.format == LOG_JSON || level > sink.level)
        return;
    StrBuf out = strbuf_new(arena, LINE_CEILING);
    strbuf_puts(&out, "lockstep: ");
    strbuf_puts(&out, level_words(level, has_prefix));
    add_masked(&out, str_trim(shown(arena, message)), "  ");
    strbuf_addc(&out, '\n');
    if (err) {
        add_part(&out, "detail", shown(arena, str_of(err->detail)));
        add_part(&out, "hint", shown(arena, str_of(err->hint)));
    }
    write_line(strbuf_str(&out));
}

void
log_event(LogLevel level, const char *event, const LogField *fields, const char *fmt, ...)
{
    if (level > sink.level && !sink.tap)
        return;
    SCRATCH_ARENA(arena);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    char *text = arena_alloc(arena, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    emit(arena, level, event, fields, str_of(text), false, NULL);
}

void
log_failure(
    LogLevel level, const char *event, const char *prefix, const LogField *fields, const Error *err)
{
    SCRATCH_ARENA(arena);
    StrBuf text = strbuf_new(arena, LINE_CEILING);
    if (prefix[0])
        strbuf_printf(&text, "%s: ", prefix);
    if (err->file[0])
        strbuf_puts(&text, err->file);
    if (err->file[0] && err->line)
        strbuf_printf(&text, ":%zu", err->line);
    if (err->file[0] && err->line && err->column)
        strbuf_printf(&text, ":%zu", err->column);
    if (err->file[0])
        strbuf_puts(&text, ": ");
    strbuf_puts(&text, err->message);
    if (strlen(err->sqlstate) >= 4) /* SQLite's small numbers mean nothing to people */
        strbuf_printf(&text, " (%s)", err->sqlstate);
    emit(arena, level, event, fields, strbuf_str(&text), prefix[0] != 0, err);
}
