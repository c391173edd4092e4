/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strings: `Str` is a borrowed view (pointer + length, not terminated); `StrBuf` grows in an arena
 * up to a ceiling that its owner names. Also the strict parsers for numbers, booleans, durations
 * and the nearest-name search behind every "did you mean".
 */

#include "core/arena.h"
#include "core/base.h"
#include "core/error.h"

typedef struct Str {
    const char *p; /* NULL means "absent" (an SQL NULL, an unset value); "" is present and empty */
    size_t n;
} Str;

#define STR(literal) ((Str){"" literal, sizeof(literal) - 1})
#define STR_ABSENT   ((Str){NULL, 0})
#define STR_FMT      "%.*s"
#define STR_ARG(s)   (int)(s).n, (s).p ? (s).p : ""

Str str_of(const char *cstr);       /* NULL gives STR_ABSENT */
char *str_dup(Arena *arena, Str s); /* NUL-terminated copy; absent gives NULL */
Str str_copy(Arena *arena, Str s);
char *str_printf(Arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool str_eq(Str a, Str b);
bool str_eq_nocase(Str a, Str b); /* ASCII */
int str_cmp(Str a, Str b);        /* byte order */
bool str_starts(Str s, Str prefix);
bool str_ends(Str s, Str suffix);
Str str_trim(Str s);                             /* ASCII white space at both ends */
Str str_sub(Str s, size_t from, size_t to);      /* clamped */
size_t str_find(Str s, char c);                  /* s.n when not there */
size_t str_find_str(Str s, Str needle);          /* s.n when not there */
bool str_is_utf8(Str s, size_t *ret_bad_offset); /* strict: no overlong forms, no surrogates */
/* Line (1-based) and column (1-based, in characters of UTF-8) of a byte offset. */
void str_position(Str text, size_t offset, size_t *ret_line, size_t *ret_column);
Str str_line_at(Str text,
                size_t offset); /* the whole line that holds the offset, without its end */

typedef struct StrBuf {
    Arena *arena;
    char *p; /* always NUL-terminated after the first append */
    size_t n, size;
    size_t ceiling; /* bytes; going over it is a programming error and aborts */
} StrBuf;

StrBuf strbuf_new(Arena *arena, size_t ceiling);
void strbuf_add(StrBuf *b, Str s);
void strbuf_addc(StrBuf *b, char c);
void strbuf_puts(StrBuf *b, const char *cstr);
void strbuf_printf(StrBuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
Str strbuf_str(const StrBuf *b);

/* Strict: the whole text must match, no sign or blank is skipped, overflow is refused. */
bool str_to_i64(Str s, int64_t *ret) MUST_CHECK;
bool str_to_bool(Str s, bool *ret) MUST_CHECK; /* true/false yes/no on/off 1/0, any case */
/* `500ms`, `5s`, `10m`, `2h`, `1d`, fractions like `1.5s`; a bare number is seconds. */
bool str_to_duration_ms(Str s, int64_t *ret_ms) MUST_CHECK;
char *str_from_duration_ms(Arena *arena, int64_t ms); /* `250 ms`, `1.2 s`, `3 min 4 s` */

/* "a", "b", "c" of "a|b|c", and NULL. */
const char *const *str_choices(Arena *arena, const char *choices);
/* Words as a shell would split them: blanks, quotes, backslashes; nothing is expanded.
 * NULL-terminated into *ret. False: a quote is not closed. */
bool str_split_words(Arena *arena, Str text, char ***ret) MUST_CHECK;

/* Nearest of the names (NULL-terminated list), or NULL when none is near enough to suggest. */
const char *str_nearest(Str word, const char *const *names);

/* A growable array in an arena: VEC(Type) v = {0}; *vec_push(arena, &v) = item; v.p[i], v.n */
#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *p;                                                                                   \
        size_t n, size;                                                                            \
    }
#define vec_push(arena, v)                                                                         \
    ((v)->n == (v)->size                                                                           \
         ? ((v)->p = vec_grow((arena), (v)->p, &(v)->size, sizeof *(v)->p), &(v)->p[(v)->n++])     \
         : &(v)->p[(v)->n++])
void *vec_grow(Arena *arena, void *old, size_t *size, size_t item_size);
