/* SPDX-License-Identifier: Apache-2.0 */
/* Views, growing buffers and strict parsers. */

#include "core/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/banned.h"

Str
str_of(const char *cstr)
{
    return cstr ? (Str){cstr, strlen(cstr)} : STR_ABSENT;
}

char *
str_dup(Arena *arena, Str s)
{
    if (!s.p)
        return NULL;
    char *copy = arena_alloc(arena, s.n + 1);
    memcpy(copy, s.p, s.n);
    return copy;
}

Str
str_copy(Arena *arena, Str s)
{
    return (Str){str_dup(arena, s), s.n};
}

char *
str_printf(Arena *arena, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *text = arena_alloc(arena, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

bool
str_eq(Str a, Str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool
str_eq_nocase(Str a, Str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    }
    return true;
}

int
str_cmp(Str a, Str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool
str_starts(Str s, Str prefix)
{
    return s.n >= prefix.n && str_eq((Str){s.p, prefix.n}, prefix);
}

static bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Str
str_trim(Str s)
{
    while (s.n && is_blank(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

Str
str_sub(Str s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return s.p ? (Str){s.p + from, to - from} : s;
}

bool
str_ends(Str s, Str suffix)
{
    return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, s.n), suffix);
}

size_t
str_find(Str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

size_t
str_find_str(Str s, Str needle)
{
    const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

/* Length of the UTF-8 sequence at p (at most n bytes), 0 when it is none. */
static size_t
utf8_length(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return 1;
    size_t want = p[0] >= 0xf0 && p[0] < 0xf8   ? 4
                  : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                  : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                                                : 0;
    if (!want || want > n)
        return 0;
    uint32_t c = p[0] & (0xffU >> (want + 1));
    for (size_t i = 1; i < want; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    bool bad = c < least[want] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff);
    return bad ? 0 : want;
}

bool
str_is_utf8(Str s, size_t *ret_bad_offset)
{
    for (size_t i = 0, step; i < s.n; i += step) {
        step = utf8_length((const unsigned char *)s.p + i, s.n - i);
        if (!step) {
            *ret_bad_offset = i;
            return false;
        }
    }
    return true;
}

void
str_position(Str text, size_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1, start = 0, column = 1;
    if (offset > text.n)
        offset = text.n;
    for (size_t i = 0; i < offset; i++) {
        if (text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    for (size_t i = start; i < offset; i++)
        column += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    *ret_line = line;
    *ret_column = column;
}

Str
str_line_at(Str text, size_t offset)
{
    if (offset > text.n)
        offset = text.n;
    size_t from = offset;
    while (from > 0 && text.p[from - 1] != '\n')
        from--;
    Str line = str_sub(text, from, text.n);
    line = str_sub(line, 0, str_find(line, '\n'));
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* ---- growing buffers ---- */

StrBuf
strbuf_new(Arena *arena, size_t ceiling)
{
    return (StrBuf){.arena = arena, .ceiling = ceiling};
}

static void
reserve(StrBuf *b, size_t more)
{
    assert(more <= b->ceiling && b->n <= b->ceiling - more);
    if (b->size > b->n + more)
        return;
    size_t size = b->size ? b->size * 2 : 64;
    while (size <= b->n + more)
        size *= 2;
    b->p = arena_grow(b->arena, b->p, b->size, size);
    b->size = size;
}

void
strbuf_add(StrBuf *b, Str s)
{
    reserve(b, s.n);
    if (s.n)
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    b->p[b->n] = 0;
}

void
strbuf_addc(StrBuf *b, char c)
{
    strbuf_add(b, (Str){&c, 1});
}

void
strbuf_puts(StrBuf *b, const char *cstr)
{
    strbuf_add(b, str_of(cstr));
}

void
strbuf_printf(StrBuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    reserve(b, (size_t)n);
    va_start(ap, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

Str
strbuf_str(const StrBuf *b)
{
    return b->p ? (Str){b->p, b->n} : STR("");
}

/* ---- parsers ---- */

bool
str_to_i64(Str s, int64_t *ret)
{
    bool negative = s.n && s.p[0] == '-';
    uint64_t value = 0, limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    size_t i = negative;
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool
str_to_bool(Str s, bool *ret)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 4; i++) {
            if (str_eq_nocase(s, str_of(words[value][i]))) {
                *ret = value == 1;
                return true;
            }
        }
    }
    return false;
}

bool
str_to_duration_ms(Str s, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000},   {"ms", 1},          {"s", 1000},
                 {"m", 60000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
    size_t digits = 0;
    int64_t whole = 0, part = 0, scale = 1;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    if (!digits || !str_to_i64(str_sub(s, 0, digits), &whole))
        return false;
    size_t at = digits;
    if (at < s.n && s.p[at] == '.') {
        size_t from = ++at;
        for (; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++) {
            if (scale < 1000000) {
                part = part * 10 + (s.p[at] - '0');
                scale *= 10;
            }
        }
        if (at == from)
            return false;
    }
    Str unit = str_sub(s, at, s.n);
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (!str_eq(unit, str_of(units[i].name)))
            continue;
        if (whole > INT64_MAX / units[i].ms - 1)
            return false;
        *ret_ms = whole * units[i].ms + part * units[i].ms / scale;
        return true;
    }
    return false;
}

char *
str_from_duration_ms(Arena *arena, int64_t ms)
{
    if (ms < 1000)
        return str_printf(arena, "%lld ms", (long long)ms);
    if (ms < 60000)
        return str_printf(arena, "%lld.%lld s", (long long)(ms / 1000),
                          (long long)(ms % 1000 / 100));
    int64_t seconds = ms / 1000;
    if (seconds < 3600)
        return str_printf(arena, "%lld min %lld s", (long long)(seconds / 60),
                          (long long)(seconds % 60));
    return str_printf(arena, "%lld h %lld min", (long long)(seconds / 3600),
                      (long long)(seconds % 3600 / 60));
}

/* ---- nearest name ---- */

enum { NEAREST_MAX = 64 };

static char
folded(char c)
{
    return c == '-' ? '_' : lower(c);
}

/* Optimal string alignment: insert, delete, replace, swap of neighbours each count one. */
static size_t
distance(Str a, Str b)
{
    size_t rows[3][NEAREST_MAX + 1];
    for (size_t k = 0; k <= b.n; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            size_t best = before[k - 1] + (folded(a.p[i - 1]) != folded(b.p[k - 1]));
            if (before[k] + 1 < best)
                best = before[k] + 1;
            if (now[k - 1] + 1 < best)
                best = now[k - 1] + 1;
            bool swapped = i > 1 && k > 1 && folded(a.p[i - 1]) == folded(b.p[k - 2]) &&
                           folded(a.p[i - 2]) == folded(b.p[k - 1]);
            if (swapped && older[k - 2] + 1 < best)
                best = older[k - 2] + 1;
            now[k] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

const char *
str_nearest(Str word, const char *const *names)
{
    const char *nearest = NULL;
    size_t best = word.n < 6 ? 1 : word.n / 3;
    if (!word.n || word.n > NEAREST_MAX)
        return NULL;
    for (size_t i = 0; names[i]; i++) {
        Str name = str_of(names[i]);
        if (name.n > NEAREST_MAX)
            continue;
        size_t d = distance(word, name);
        if (d < best || (d == best && !nearest)) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

const char *const *
str_choices(Arena *arena, const char *choices)
{
    VEC(const char *) words = {0};
    for (Str rest = str_of(choices); rest.p;) {
        size_t end = str_find(rest, '|');
        *vec_push(arena, &words) = str_dup(arena, str_sub(rest, 0, end));
        rest = end < rest.n ? str_sub(rest, end + 1, rest.n) : STR_ABSENT;
    }
    *vec_push(arena, &words) = NULL;
    return words.p;
}

void *
vec_grow(Arena *arena, void *old, size_t *size, size_t item_size)
{
    size_t wider = *size ? *size * 2 : 8;
    assert(wider <= SIZE_MAX / item_size);
    void *grown = arena_grow(arena, old, *size * item_size, wider * item_size);
    *size = wider;
    return grown;
}

/* ---- words ---- */

/* Inside double quotes a backslash means itself before most characters. */
static bool
is_escape(char quote, char next)
{
    return quote == 0 || (quote == '"' && strchr("\"\\$`", next));
}

bool
str_split_words(Arena *arena, Str text, char ***ret)
{
    VEC(char *) words = {0};
    StrBuf word = strbuf_new(arena, text.n + 1);
    bool in_word = false;
    char quote = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!quote && blank) {
            if (in_word)
                *vec_push(arena, &words) = str_dup(arena, strbuf_str(&word));
            word = strbuf_new(arena, text.n + 1);
            in_word = false;
        } else if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? 0 : c;
            in_word = true;
        } else if (c == '\\' && quote != '\'' && i + 1 < text.n &&
                   is_escape(quote, text.p[i + 1])) {
            strbuf_addc(&word, text.p[++i]);
            in_word = true;
        } else {
            strbuf_addc(&word, c);
            in_word = true;
        }
    }
    if (in_word)
        *vec_push(arena, &words) = str_dup(arena, strbuf_str(&word));
    *vec_push(arena, &words) = NULL;
    *ret = words.p;
    return quote == 0;
}
