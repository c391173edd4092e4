/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that writes to stdout, and the shapes of what is written. */

#include "cmd/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/banned.h"

enum { LINE_COLUMNS = 80 };

bool
output_write(Str text, Error *err)
{
    size_t done = 0;
    while (done < text.n) {
        ssize_t n = write(STDOUT_FILENO, text.p + done, text.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, ERROR_FAILED, errno, "writing to standard output");
        done += (size_t)n;
    }
    return true;
}

static int
add_json(const char *buffer, size_t size, void *data)
{
    strbuf_add(data, (Str){buffer, size});
    return 0;
}

static void
cleanup_json(json_t **json)
{
    json_decref(*json);
}

bool
output_json(Arena *arena, json_t *object, Error *err)
{
    CLEANUP(cleanup_json) json_t *owned = object;
    StrBuf out = strbuf_new(arena, OUTPUT_CEILING);
    size_t flags = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : 0;
    if (json_dump_callback(owned, add_json, &out, flags) != 0)
        return error_set(err, ERROR_FAILED, "the result cannot be written as JSON");
    strbuf_addc(&out, '\n');
    return output_write(strbuf_str(&out), err);
}

json_t *
output_json_text(Arena *arena, Str text)
{
    if (text.p == NULL)
        return json_null();
    size_t bad;
    if (str_is_utf8(text, &bad))
        return json_stringn_nocheck(text.p, text.n);
    char *copy = str_dup(arena, text);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)copy[i] >= 0x80)
            copy[i] = '?';
    return json_stringn_nocheck(copy, text.n);
}

static Str
tamed(Arena *arena, Str text, bool lines)
{
    char *copy = str_dup(arena, text);
    for (size_t i = 0; i < text.n; i++)
        if (((unsigned char)copy[i] < 0x20 && !(lines && copy[i] == '\n')) || copy[i] == 0x7f)
            copy[i] = '?';
    return (Str){copy, text.n};
}

Str
output_tamed(Arena *arena, Str text)
{
    return tamed(arena, text, true);
}

const char *
style_on(Style style, bool color)
{
    static const char *const codes[] = {
        [STYLE_NONE] = "",          [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",
        [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m", [STYLE_RED] = "\033[31m"};
    return color ? codes[style] : "";
}

const char *
style_off(bool color)
{
    return color ? "\033[0m" : "";
}

Table
table_new(Arena *arena, const char *align, const char *const *titles)
{
    return (Table){.arena = arena, .columns = strlen(align), .align = align, .titles = titles};
}

void
table_add(Table *t, Str cell)
{
    *vec_push(t->arena, &t->cells) = tamed(t->arena, cell.p ? cell : STR(""), false);
}

/* Characters, not bytes: names may hold any UTF-8. */
static size_t
width_of(Str s)
{
    size_t width = 0;
    for (size_t i = 0; i < s.n; i++)
        width += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return width;
}

static void
add_blanks(StrBuf *out, size_t count)
{
    while (count-- > 0)
        strbuf_addc(out, ' ');
}

static void
print_row(const Table *t, StrBuf *out, const char *indent, const Str *cells, const size_t *widths)
{
    strbuf_puts(out, indent);
    size_t owed = 0; /* blanks are written only when something follows: no line ends in one */
    for (size_t c = 0; c < t->columns; c++) {
        size_t rest = widths[c] - width_of(cells[c]);
        if (cells[c].n > 0) {
            add_blanks(out, owed + (t->align[c] == '>' ? rest : 0));
            owed = t->align[c] == '>' ? 0 : rest;
            strbuf_add(out, cells[c]);
        } else {
            owed += widths[c];
        }
        owed += 2;
    }
    strbuf_addc(out, '\n');
}

void
table_print(const Table *t, StrBuf *out, const char *indent, bool color)
{
    size_t *widths = arena_array(t->arena, size_t, t->columns);
    Str *titles = arena_array(t->arena, Str, t->columns);
    for (size_t c = 0; c < t->columns; c++) {
        titles[c] = str_of(t->titles[c]);
        widths[c] = width_of(titles[c]);
    }
    for (size_t i = 0; i < t->cells.n; i++) {
        size_t width = width_of(t->cells.p[i]);
        if (width > widths[i % t->columns])
            widths[i % t->columns] = width;
    }
    strbuf_puts(out, style_on(STYLE_DIM, color));
    print_row(t, out, indent, titles, widths);
    strbuf_puts(out, style_off(color));
    for (size_t i = 0; i + t->columns <= t->cells.n; i += t->columns)
        print_row(t, out, indent, t->cells.p + i, widths);
}

void
output_wrap(StrBuf *out, const char *text, size_t column, size_t indent)
{
    bool fresh = true; /* no word on this line yet */
    for (const char *p = text; *p != '\0';) {
        if (*p == '\n') {
            strbuf_addc(out, '\n');
            column = 0;
            fresh = true;
            p++;
            continue;
        }
        if (*p == ' ') {
            p++;
            continue;
        }
        size_t length = strcspn(p, " \n");
        size_t width = width_of((Str){p, length});
        if (!fresh && column + 1 + width > LINE_COLUMNS) {
            strbuf_addc(out, '\n');
            column = 0;
            fresh = true;
        }
        if (fresh && column < indent) {
            add_blanks(out, indent - column);
            column = indent;
        } else if (!fresh) {
            strbuf_addc(out, ' ');
            column++;
        }
        strbuf_add(out, (Str){p, length});
        column += width;
        p += length;
        fresh = false;
    }
    strbuf_addc(out, '\n');
}
