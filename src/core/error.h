/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One Error a command, on the stack of its caller, passed down as the last parameter. Fallible
 * functions return bool (or a pointer) and set it exactly once; outputs stay untouched on failure.
 * Callers return it or add context with error_wrap. The first error wins: what fails while
 * cleaning up is appended to `detail`. Buffers stand inside, so an Error owns nothing.
 *
 * Wording of messages: what went wrong first, subject in single quotes, lower case, no full stop;
 * a hint is a whole sentence that says what to do.
 */

#include "core/base.h"

typedef enum ErrorCode {
#define ERROR_CODE(id, name, status, meaning) ERROR_##id,
#include "core/errors.def"
#undef ERROR_CODE
    ERROR_COUNT
} ErrorCode;

/* What kind of database failure this was; set by a driver, decides about retries in one place. */
typedef enum ErrorClass {
    ERROR_CLASS_NONE = 0,
    ERROR_CLASS_LOCK_TIMEOUT,   /* a table lock was not granted in time */
    ERROR_CLASS_DEADLOCK,       /* deadlock or serialization failure */
    ERROR_CLASS_CONNECTION,     /* connection lost, refused, server starting or stopping */
    ERROR_CLASS_CANCELLED,      /* we (or an administrator) cancelled the statement */
    ERROR_CLASS_TIMEOUT,        /* statement timeout of the server */
    ERROR_CLASS_LOGIN,          /* wrong password, no such role, TLS refused */
    ERROR_CLASS_NO_DATABASE,    /* the database does not exist */
    ERROR_CLASS_NO_TABLE,       /* undefined table */
    ERROR_CLASS_PRIVILEGE,      /* permission denied */
    ERROR_CLASS_READ_ONLY,      /* standby, read-only server, file or transaction */
    ERROR_CLASS_DUPLICATE,      /* the object or key is already there */
    ERROR_CLASS_NULL_VIOLATION, /* NOT NULL violated (the fencing of version rows uses it) */
    ERROR_CLASS_DISK_FULL,
    ERROR_CLASS_SYNTAX,
    ERROR_CLASS_OTHER,
} ErrorClass;

typedef struct Error {
    ErrorCode code; /* ERROR_NONE = nothing went wrong */
    ErrorClass cls;
    int signal;       /* with ERROR_SIGNALLED */
    int sys_errno;    /* 0 when none */
    char sqlstate[6]; /* or the number of a MySQL error as text; "" when none */
    /* Byte offset in the SQL text given to the driver, or -1: where the server points. */
    int64_t sql_offset;
    char file[512];      /* input file at fault, "" when none */
    size_t line, column; /* 1-based, 0 when unknown */
    char message[1024];
    char detail[2048];
    char hint[1024];
} Error;

#define ERROR_INIT ((Error){.sql_offset = -1})

/* Each returns false, so that callers can write `return error_set(err, ...);` */
bool error_set(Error *err, ErrorCode code, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool error_set_errno(Error *err, ErrorCode code, int sys_errno, const char *fmt, ...)
    PRINTF_LIKE(4, 5);                                                   /* appends ": strerror" */
bool error_wrap(Error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);     /* "context: message" */
bool error_at(Error *err, const char *file, size_t line, size_t column); /* sets the position */
bool error_hint(Error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool error_detail(Error *err, const char *fmt, ...) PRINTF_LIKE(2, 3); /* appends a line */
void error_clear(Error *err);
int error_exit_status(const Error *err); /* 128+N for signals */
const char *error_code_name(ErrorCode code);
int error_code_status(ErrorCode code);
const char *error_code_meaning(ErrorCode code);
