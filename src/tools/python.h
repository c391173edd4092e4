/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Python source as far as its literals go: logical lines of tokens, and the values of assignments
 * that are written down (texts, None, lists, sums of those, names of such). What has to be computed
 * is PY_OTHER, never a guess. Starts no interpreter. Private to the room.
 */

#include "core/str.h"

typedef enum PyTokenKind { PY_NAME, PY_STRING, PY_NUMBER, PY_SIGN, PY_STRANGE } PyTokenKind;

typedef struct PyToken {
    PyTokenKind kind; /* PY_STRANGE: a text that is not a constant (f"", b"") */
    Str text;         /* PY_STRING: what it means; else as written */
} PyToken;

/* What Python sees as one line: without comments, brackets closed, cut at ";". */
typedef struct PyLine {
    size_t indent; /* of its first physical line; 0 = the module itself */
    const PyToken *tokens;
    size_t n;
} PyLine;

typedef VEC(PyLine) PyLines;

/* False: this is no Python that can be read (a text that does not end, invalid UTF-8, too much). */
bool py_lines(Arena *arena, Str text, PyLines *ret) MUST_CHECK;

typedef enum PyKind { PY_OTHER, PY_NONE, PY_TEXT, PY_LIST } PyKind;

typedef struct PyValue PyValue;
struct PyValue {
    PyKind kind;
    Str text; /* PY_TEXT; PY_OTHER: its names and signs, joined by nothing: "migrations.x(y)" */
    VEC(PyValue) items;
};

typedef struct PyName {
    Str name;
    PyValue value;
} PyName;
typedef VEC(PyName) PyNames;

PyValue *py_lookup(const PyNames *names, Str name); /* NULL = not there */
void py_assign(Arena *arena, PyNames *names, Str name, PyValue value);

/* The line assigns: `name = ...`, `name: type = ...`, `name += ...`. *ret_at is where the value
 * begins. */
bool py_assignment(const PyLine *line, Str *ret_name, bool *ret_adds, size_t *ret_at);
/* The value from token `at` to the end of the line. names may be NULL. */
PyValue py_value(Arena *arena, const PyLine *line, size_t at, const PyNames *names);
/* All that stands between the brackets after token `at` ("("), as a list; PY_OTHER when the line
 * goes on behind them. */
PyValue py_arguments(Arena *arena, const PyLine *line, size_t at, const PyNames *names);
bool py_is(const PyLine *line, size_t at, const char *text); /* a name or sign, as written */
/* All lists of texts, a single text counted as one, None as none; false = something else. */
bool py_texts(Arena *arena, const PyValue *value, Str **ret, size_t *ret_n) MUST_CHECK;
