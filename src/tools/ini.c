/* SPDX-License-Identifier: Apache-2.0 */
/* Single values out of text that is not parsed whole: INI files (as Python's configparser and git
 * read them), flat YAML, .env, and literals in code. */

#include "tools/adapters.h"

#include <string.h>

#include "core/banned.h"

static size_t
indent_of(Str line)
{
    size_t n = 0;
    while (n < line.n && (line.p[n] == ' ' || line.p[n] == '\t'))
        n++;
    return n;
}

/* [section], also [ section ] */
static bool
is_header(Str line, Str *ret)
{
    line = str_trim(line);
    if (line.n < 2 || line.p[0] != '[' || line.p[line.n - 1] != ']')
        return false;
    *ret = str_trim(str_sub(line, 1, line.n - 1));
    return true;
}

static bool
split_pair(Str line, Str *ret_key, Str *ret_value)
{
    size_t equals = str_find(line, '='), colon = str_find(line, ':');
    size_t at = equals < colon ? equals : colon;
    if (at == line.n)
        return false;
    *ret_key = str_trim(str_sub(line, 0, at));
    *ret_value = str_trim(str_sub(line, at + 1, line.n));
    return ret_key->n > 0;
}

Str
ini_value(Arena *arena, Str text, const char *section, const char *key)
{
    StrBuf value = strbuf_new(arena, 2 * TOOL_FILE_CEILING);
    bool inside = *section == 0, going_on = false, found = false;
    size_t indent = 0;
    Str line, header, name, first;
    while (text.p && text_line(&text, &line)) {
        Str trimmed = str_trim(line);
        if (trimmed.n == 0 || trimmed.p[0] == '#' || trimmed.p[0] == ';')
            continue;
        if (going_on && indent_of(line) > indent) {
            strbuf_addc(&value, '\n');
            strbuf_add(&value, trimmed);
        } else if (is_header(line, &header)) {
            inside = str_eq_nocase(header, str_of(section));
            going_on = false;
        } else if (split_pair(line, &name, &first)) {
            going_on = inside && str_eq_nocase(name, str_of(key));
            indent = indent_of(line);
            if (going_on) {
                /* The last one holds, as it does there. */
                value = strbuf_new(arena, 2 * TOOL_FILE_CEILING);
                strbuf_add(&value, first);
                found = true;
            }
        }
    }
    return found ? strbuf_str(&value) : STR_ABSENT;
}

/* ---- flat YAML, as database.yml and dbconfig.yml are: sections of keys ---- */

/* What a scalar means: without quotes and comments. */
static Str
yaml_scalar(Str text)
{
    text = str_trim(text);
    if (text.n && (text.p[0] == '"' || text.p[0] == '\'')) {
        size_t end = str_find(str_sub(text, 1, text.n), text.p[0]);
        return str_sub(text, 1, end + 1);
    }
    for (size_t i = 1; i < text.n; i++)
        if (text.p[i] == '#' && (text.p[i - 1] == ' ' || text.p[i - 1] == '\t'))
            return str_trim(str_sub(text, 0, i));
    return text.n && text.p[0] == '#' ? STR("") : text;
}

static bool
yaml_pair(Str line, Str *ret_key, Str *ret_value)
{
    line = str_trim(line);
    size_t colon = str_find(line, ':');
    if (colon == line.n || (colon + 1 < line.n && line.p[colon + 1] != ' '))
        return false;
    *ret_key = yaml_scalar(str_sub(line, 0, colon));
    *ret_value = str_trim(str_sub(line, colon + 1, line.n));
    return true;
}

/* The lines of a section of the highest level, found by its name or by its anchor (&name). */
static Str
yaml_section(Str text, Str name, bool anchor)
{
    Str line, key, value, rest = text;
    while (text_line(&rest, &line)) {
        bool top = line.n && indent_of(line) == 0 && line.p[0] != '#';
        if (!top || !yaml_pair(line, &key, &value))
            continue;
        Str mark = str_starts(value, STR("&")) ? str_sub(value, 1, value.n) : STR_ABSENT;
        if (anchor ? !str_eq(str_trim(mark), name) : !str_eq(key, name))
            continue;
        Str body = rest;
        while (rest.n) {
            Str before = rest;
            if (text_line(&rest, &line) && line.n && indent_of(line) == 0 && line.p[0] != '#')
                return str_sub(body, 0, (size_t)(before.p - body.p));
        }
        return body;
    }
    return STR_ABSENT;
}

static Str
yaml_in_section(Str text, Str body, const char *wanted, int depth)
{
    enum { MERGES_CEILING = 5 };
    size_t indent = 0;
    Str line, key, value, found = STR_ABSENT, merged = STR_ABSENT;
    while (body.p && text_line(&body, &line)) {
        Str trimmed = str_trim(line);
        if (trimmed.n == 0 || trimmed.p[0] == '#')
            continue;
        indent = indent ? indent : indent_of(line);
        if (indent_of(line) != indent || !yaml_pair(line, &key, &value))
            continue;
        if (str_eq(key, str_of(wanted)))
            found = yaml_scalar(value);
        else if (str_eq(key, STR("<<")) && str_starts(value, STR("*")) && depth < MERGES_CEILING)
            merged = yaml_in_section(
                text, yaml_section(text, yaml_scalar(str_sub(value, 1, value.n)), true), wanted,
                depth + 1);
    }
    return found.p ? found : merged;
}

bool
yaml_has_section(Str text, const char *section)
{
    return text.p && yaml_section(text, str_of(section), false).p;
}

Str
yaml_value(Str text, const char *section, const char *key)
{
    if (!text.p)
        return STR_ABSENT;
    return yaml_in_section(text, yaml_section(text, str_of(section), false), key, 0);
}

/* ---- .env ---- */

Str
dotenv_value(Str text, const char *key)
{
    Str line, found = STR_ABSENT;
    while (text.p && text_line(&text, &line)) {
        line = str_trim(line);
        if (str_starts(line, STR("export ")))
            line = str_trim(str_sub(line, strlen("export "), line.n));
        size_t equals = str_find(line, '=');
        if (equals < line.n && str_eq(str_trim(str_sub(line, 0, equals)), str_of(key)))
            found = yaml_scalar(str_sub(line, equals + 1, line.n));
    }
    return found;
}

/* ---- literals of code ---- */

static bool
is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A quoted text at the start, as long as nothing in it has to be computed. */
static bool
literal(Str text, Str *ret, size_t *ret_end)
{
    if (text.n < 2 || !is_quote(text.p[0]))
        return false;
    size_t end = 1;
    while (end < text.n && text.p[end] != text.p[0] && text.p[end] != '\n')
        end++;
    Str inside = str_sub(text, 1, end);
    if (end >= text.n || text.p[end] != text.p[0] || text_has(inside, "\\") ||
        text_has(inside, "${"))
        return false;
    *ret = inside;
    *ret_end = end + 1;
    return true;
}

/* The line that holds this place is a comment up to there. */
static bool
is_commented(Str text, const char *place)
{
    const char *start = place;
    while (start > text.p && start[-1] != '\n')
        start--;
    Str before = str_trim((Str){start, (size_t)(place - start)});
    return str_starts(before, STR("//")) || str_starts(before, STR("#")) ||
           str_starts(before, STR("*"));
}

/* Behind the key: `key: `, `key = `, `'key': `, `['key'] = `, `"key", `. */
static Str
behind_key(Str text, const char *key)
{
    size_t n = strlen(key);
    for (Str rest = text; rest.p;) {
        size_t at = str_find_str(rest, str_of(key));
        if (at >= rest.n)
            return STR_ABSENT;
        char before = at ? rest.p[at - 1] : rest.p == text.p ? ' ' : 'x';
        bool begins = before && strchr(" \t\n\r{,('\"[.", before);
        size_t end = at + n;
        while (end < rest.n &&
               (is_quote(rest.p[end]) || rest.p[end] == ']' || is_space(rest.p[end])))
            end++;
        if (begins && !is_commented(text, rest.p + at) && end < rest.n && rest.p[end] &&
            strchr(":=,", rest.p[end])) {
            for (end++; end < rest.n && is_space(rest.p[end]);)
                end++;
            return str_sub(rest, end, rest.n);
        }
        rest = str_sub(rest, at + n, rest.n);
    }
    return STR_ABSENT;
}

/* path.join(__dirname, 'db', "migrations") */
static Str
joined_path(Arena *arena, Str text)
{
    StrBuf path = strbuf_new(arena, TOOL_FILE_CEILING);
    size_t open = str_find(text, '('), end;
    Str part, head = str_sub(text, 0, open);
    if (!str_starts(head, STR("path.")) && !str_eq(head, STR("resolve")) &&
        !str_eq(head, STR("join")))
        return STR_ABSENT;
    for (size_t i = open + 1; i < text.n && text.p[i] != ')';) {
        if (literal(str_sub(text, i, text.n), &part, &end)) {
            strbuf_puts(&path, path.n ? "/" : "");
            strbuf_add(&path, part);
            i += end;
        } else if (is_space(text.p[i]) || text.p[i] == ',') {
            i++;
        } else if (str_starts(str_sub(text, i, text.n), STR("__dirname"))) {
            i += strlen("__dirname");
        } else {
            return STR_ABSENT;
        }
    }
    return path.n ? strbuf_str(&path) : STR_ABSENT;
}

Str
code_value(Arena *arena, Str text, const char *key, bool *ret_there)
{
    Str value = behind_key(text, key), found = STR_ABSENT;
    size_t end;
    *ret_there = value.p != NULL;
    if (!value.p)
        return STR_ABSENT;
    if (!literal(value, &found, &end))
        return joined_path(arena, value);
    Str rest = str_trim(str_sub(value, end, value.n));
    bool goes_on = rest.n && strchr("+.%[", rest.p[0]); /* 'a' + b, 'a'.format(b) */
    return goes_on ? STR_ABSENT : found;
}

Str
code_block(Str text, const char *key)
{
    Str value = behind_key(text, key);
    int depth = 0;
    if (!value.n || value.p[0] != '{')
        return STR_ABSENT;
    for (size_t i = 0; i < value.n; i++) {
        depth += value.p[i] == '{' ? 1 : value.p[i] == '}' ? -1 : 0;
        if (depth == 0)
            return str_sub(value, 0, i + 1);
    }
    return value;
}

/* process.env.X! -> X; a name that would be something else with more in it is none: process.env.X()
 */
Str
code_variable(Str text, const char *key)
{
    static const char *const starts[] = {"process.env.", "process.env[", "env("};
    Str value = behind_key(text, key);
    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        if (!str_starts(value, str_of(starts[i])))
            continue;
        Str name = str_trim(str_sub(value, strlen(starts[i]), value.n));
        if (name.n && is_quote(name.p[0]))
            name = str_sub(name, 1, name.n);
        size_t n = 0;
        while (n < name.n &&
               (name.p[n] == '_' || (name.p[n] >= 'A' && name.p[n] <= 'Z') ||
                (name.p[n] >= 'a' && name.p[n] <= 'z') || (name.p[n] >= '0' && name.p[n] <= '9')))
            n++;
        return str_sub(name, 0, n);
    }
    return STR_ABSENT;
}
