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
    VEC(Str) values; /* longest first: the whole of a URL before the password in it */
} masks;

static bool
is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
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
    if (!masks.arena)
        masks.arena = arena_new();
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
    if (value.n)
        remember(value);
    /* Output is masked line by line, so each line of a key is a secret of its own. */
    for (Str rest = value; str_find(rest, '\n') < rest.n;) {
        size_t end = str_find(rest, '\n');
        Str next = str_sub(rest, end + 1, rest.n);
        if (end >= SHORT_SECRET)
            remember(str_sub(rest, 0, end));
        if (next.n >= SHORT_SECRET && str_find(next, '\n') == next.n)
            remember(next);
        rest = next;
    }
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

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool
is_encoded(Str text, size_t at, char wanted)
{
    return at + 2 < text.n && text.p[at] == '%' && hex_digit(text.p[at + 1]) >= 0 &&
           hex_digit(text.p[at + 2]) >= 0 &&
           (char)(hex_digit(text.p[at + 1]) * 16 + hex_digit(text.p[at + 2])) == wanted;
}

/*
 * How many bytes of the text at `from` are this secret, 0 = none. Each byte may be percent-encoded
 * or not, because everybody encodes another set; a percent sign of the secret itself can be read
 * both ways, so one way is tried after the other.
 */
static size_t
length_here(Str text, size_t from, Str secret, bool encoded_first)
{
    size_t at = from;
    for (size_t i = 0; i < secret.n; i++) {
        bool raw = at < text.n && text.p[at] == secret.p[i];
        bool encoded = is_encoded(text, at, secret.p[i]);
        if (!raw && !encoded)
            return 0;
        at += encoded && (encoded_first || !raw) ? 3 : 1;
    }
    return at - from;
}

/* The length of the secret that stands at text[from], 0 = none. */
static size_t
secret_here(Str text, size_t from)
{
    for (size_t k = 0; k < masks.values.n; k++) {
        Str value = masks.values.p[k];
        size_t n = length_here(text, from, value, true);
        if (!n)
            n = length_here(text, from, value, false);
        bool alone = (from == 0 || !is_word(text.p[from - 1])) &&
                     (from + n == text.n || !is_word(text.p[from + n]));
        if (n && (value.n >= SHORT_SECRET || alone))
            return n;
    }
    return 0;
}

Str
secret_redact(Arena *arena, Str text)
{
    StrBuf out = strbuf_new(arena, text.n * 4 + 16);
    size_t from = 0;
    for (size_t i = 0; masks.values.n && i < text.n;) {
        size_t n = secret_here(text, i);
        if (!n) {
            i++;
            continue;
        }
        strbuf_add(&out, str_sub(text, from, i));
        strbuf_puts(&out, "***");
        i += n;
        from = i;
    }
    if (!from)
        return text;
    strbuf_add(&out, str_sub(text, from, text.n));
    return strbuf_str(&out);
}
