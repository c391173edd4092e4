/* SPDX-License-Identifier: Apache-2.0 */
/* The Error value: set once, wrapped on the way up. Overlong text is cut with a mark. */

#include "core/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/banned.h"

typedef struct CodeRow {
    const char *name, *meaning;
    int status;
} CodeRow;

static const CodeRow codes[] = {
#define ERROR_CODE(id, name, status, meaning) {name, meaning, status},
#include "core/errors.def"
#undef ERROR_CODE
};

/* A character of UTF-8 is never cut in two: half of one would spoil the whole text for JSON. */
static void
mark_cut(char *buf, size_t size, int needed)
{
    if (needed < 0 || (size_t)needed < size)
        return;
    size_t at = size - 4;
    while (at > 0 && ((unsigned char)buf[at] & 0xc0) == 0x80)
        at--;
    memcpy(buf + at, "...", 4);
}

#define FORMAT_INTO(buf, fmt)                                                                      \
    do {                                                                                           \
        va_list ap_;                                                                               \
        va_start(ap_, fmt);                                                                        \
        mark_cut((buf), sizeof(buf), vsnprintf((buf), sizeof(buf), fmt, ap_));                     \
        va_end(ap_);                                                                               \
    } while (0)

bool
error_set(Error *err, ErrorCode code, const char *fmt, ...)
{
    assert(err->code == ERROR_NONE && code != ERROR_NONE);
    *err = ERROR_INIT;
    err->code = code;
    FORMAT_INTO(err->message, fmt);
    return false;
}

bool
error_set_errno(Error *err, ErrorCode code, int sys_errno, const char *fmt, ...)
{
    char text[900] = "";
    assert(err->code == ERROR_NONE && code != ERROR_NONE);
    FORMAT_INTO(text, fmt);
    error_set(err, code, "%s: %s", text, strerror(sys_errno));
    err->sys_errno = sys_errno;
    return false;
}

bool
error_wrap(Error *err, const char *fmt, ...)
{
    char context[512] = "", message[sizeof err->message];
    assert(err->code != ERROR_NONE);
    FORMAT_INTO(context, fmt);
    memcpy(message, err->message, sizeof message);
    mark_cut(err->message, sizeof err->message,
             snprintf(err->message, sizeof err->message, "%s: %s", context, message));
    return false;
}

bool
error_at(Error *err, const char *file, size_t line, size_t column)
{
    mark_cut(err->file, sizeof err->file,
             snprintf(err->file, sizeof err->file, "%s", file ? file : ""));
    err->line = line;
    err->column = column;
    return false;
}

bool
error_hint(Error *err, const char *fmt, ...)
{
    FORMAT_INTO(err->hint, fmt);
    return false;
}

bool
error_detail(Error *err, const char *fmt, ...)
{
    char line[1024] = "";
    size_t used = strlen(err->detail);
    FORMAT_INTO(line, fmt);
    mark_cut(err->detail, sizeof err->detail,
             (int)used + snprintf(err->detail + used, sizeof err->detail - used, "%s%s",
                                  used ? "\n" : "", line));
    return false;
}

void
error_clear(Error *err)
{
    *err = ERROR_INIT;
}

int
error_exit_status(const Error *err)
{
    return err->code == ERROR_SIGNALLED ? 128 + err->signal : codes[err->code].status;
}

const char *
error_code_name(ErrorCode code)
{
    return codes[code].name;
}

int
error_code_status(ErrorCode code)
{
    return codes[code].status;
}

const char *
error_code_meaning(ErrorCode code)
{
    return codes[code].meaning;
}
