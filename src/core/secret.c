/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets and masking. The list of values to mask is process-wide on purpose: a secret must be
 * masked in every line, whoever writes it. It owns an arena that lives as long as the process.
 */

#include "core/secret.h"

#include <stdlib.h>
#include <string.h>

#include "core/banned.h"

enum { SHORT_SECRET = 4 };

static struct {
    Arena *arena;
    VEC(Str) values; /* longest first */
} masks;

static bool
is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool
is_unreserved(char c)
{
    return (is_word(c) && (unsigned char)c < 0x80) || c == '-' || c == '.' || c == '~';
}

static Str
percent_encoded(Arena *arena, Str value)
{
    StrBuf out = strbuf_new(arena, value.n * 3 + 1);
    for (size_t i = 0; i < value.n; i++) {
        if (is_unreserved(value.p[i]))
            strbuf_addc(&out, value.p[i]);
        else
            strbuf_printf(&out, "%%%02X", (unsigned char)value.p[i]);
    }
    return strbuf_str(&out);
}

static int
longer_first(const void *a, const void *b)
{
    size_t x = ((const Str *)a)->n, y = ((const Str *)b)->n;
    return (x < y) - (x > y);
}

static void
remember(Str value)
{
    if (!value.n)
        return;
    for (size_t i = 0; i < masks.values.n; i++) {
        if (str_eq(masks.values.p[i], value))
            return;
    }
    *vec_push(masks.arena, &masks.values) = str_copy(masks.arena, value);
    qsort(masks.values.p, masks.values.n, sizeof *masks.values.p, longer_first);
}

void
secret_mask_also(Str value)
{
    if (!value.n)
        return;
    if (!masks.arena)
        masks.arena = arena_new();
    remember(value);
    remember(percent_encoded(masks.arena, value));
}

Secret
secret_make(Arena *arena, Str value)
{
    if (!value.p)
        return (Secret){NULL};
    secret_mask_also(value);
    return (Secret){str_dup(arena, value)};
}

bool
secret_is_set(Secret s)
{
    return s.hidden != NULL;
}

const char *
secret_reveal(Secret s)
{
    return s.hidden;
}

static char
hex_folded(char c)
{
    return c >= 'A' && c <= 'F' ? (char)(c + 32) : c;
}

/* Equal but for the case of hex digits behind a percent sign. */
static bool
matches(const char *text, Str mask)
{
    int hex = 0;
    for (size_t i = 0; i < mask.n; i++) {
        char a = text[i], b = mask.p[i];
        if (hex ? hex_folded(a) != hex_folded(b) : a != b)
            return false;
        hex = b == '%' ? 2 : hex ? hex - 1 : 0;
    }
    return true;
}

/* The mask that stands at text[i], or NULL. */
static const Str *
mask_at(Str text, size_t i)
{
    for (size_t k = 0; k < masks.values.n; k++) {
        const Str *m = &masks.values.p[k];
        if (m->n > text.n - i || !matches(text.p + i, *m))
            continue;
        bool alone = (i == 0 || !is_word(text.p[i - 1])) &&
                     (i + m->n == text.n || !is_word(text.p[i + m->n]));
        if (m->n >= SHORT_SECRET || alone)
            return m;
    }
    return NULL;
}

Str
secret_redact(Arena *arena, Str text)
{
    StrBuf out = strbuf_new(arena, text.n * 4 + 16);
    size_t from = 0;
    for (size_t i = 0; masks.values.n && i < text.n;) {
        const Str *m = mask_at(text, i);
        if (!m) {
            i++;
            continue;
        }
        strbuf_add(&out, str_sub(text, from, i));
        strbuf_puts(&out, "***");
        i += m->n;
        from = i;
    }
    if (!from)
        return text;
    strbuf_add(&out, str_sub(text, from, text.n));
    return strbuf_str(&out);
}
