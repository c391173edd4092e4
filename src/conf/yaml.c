/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only user of libyaml. The document is walked three levels deep at most (environments, a name,
 * a list), so that aliases, which libyaml keeps as references, cannot blow up.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "conf/file.h"
#include "core/fs.h"
#include "core/banned.h"

enum { FILE_CEILING = 1024 * 1024, KEYS_CEILING = 1000, LEVELS_CEILING = 16 };

typedef struct Reader {
    Arena *arena;
    const char *path;
    yaml_document_t *doc;
    Error *err;
} Reader;

static bool PRINTF_LIKE(4, 5)
    wrong(const Reader *r, yaml_mark_t mark, const char *hint, const char *fmt, ...)
{
    char message[sizeof r->err->message];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    error_set(r->err, ERROR_USAGE, "%s", message);
    if (hint)
        error_hint(r->err, "%s", hint);
    return error_at(r->err, r->path, mark.line + 1, mark.column + 1);
}

/* The text of a scalar; of `key:`, `key: ~` and `key: null` it is empty. */
static char *
scalar(const Reader *r, const yaml_node_t *node)
{
    static const char *const nulls[] = {"~", "null", "Null", "NULL"};
    Str text = {(const char *)node->data.scalar.value, node->data.scalar.length};
    for (size_t i = 0; i < COUNT_OF(nulls); i++) {
        if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && str_eq(text, str_of(nulls[i])))
            return str_dup(r->arena, STR(""));
    }
    return str_dup(r->arena, text);
}

static bool
is_empty(const Reader *r, const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && *scalar(r, node) == 0;
}

static bool
is_plain(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE &&
           !memchr(node->data.scalar.value, 0, node->data.scalar.length);
}

static const yaml_node_t *
node_at(const Reader *r, int index)
{
    return yaml_document_get_node(r->doc, index);
}

/* Keys are plain words, few, and each stands there once. */
static bool
check_keys(const Reader *r, const yaml_node_t *map)
{
    const yaml_node_pair_t *first = map->data.mapping.pairs.start,
                           *top = map->data.mapping.pairs.top;
    if (top - first > KEYS_CEILING)
        return wrong(r, map->start_mark, NULL, "more than %d keys", KEYS_CEILING);
    for (const yaml_node_pair_t *pair = first; pair < top; pair++) {
        const yaml_node_t *name = node_at(r, pair->key);
        if (!is_plain(name))
            return wrong(r, name->start_mark, NULL, "a key must be a plain word");
        const char *word = (const char *)name->data.scalar.value;
        if (strcmp(word, "<<") == 0)
            return wrong(r, name->start_mark, "Write the keys out.",
                         "merging with '%s' is not supported", word);
        for (const yaml_node_pair_t *other = first; other < pair; other++) {
            if (strcmp((const char *)node_at(r, other->key)->data.scalar.value, word) == 0)
                return wrong(r, name->start_mark, "Keep one of the two.",
                             "the key '%s' stands here twice", word);
        }
    }
    return true;
}

static bool
read_list(const Reader *r, const yaml_node_t *node, FileKey *key)
{
    VEC(char *) list = {0};
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *one = node_at(r, *item);
        if (!is_plain(one))
            return wrong(r, one->start_mark, NULL, "the list '%s' must hold plain values only",
                         key->name);
        *vec_push(r->arena, &list) = scalar(r, one);
    }
    *vec_push(r->arena, &list) = NULL;
    key->list = list.p;
    return true;
}

static bool
read_key(const Reader *r,
         const char *prefix,
         const yaml_node_t *name,
         const yaml_node_t *value,
         bool from_environment,
         FileKeys *ret)
{
    FileKey key = {.name = str_printf(r->arena, "%s%s", prefix, name->data.scalar.value),
                   .line = name->start_mark.line + 1,
                   .column = name->start_mark.column + 1,
                   .value_line = value->start_mark.line + 1,
                   .value_column = value->start_mark.column + 1,
                   .from_environment = from_environment};
    if (value->type == YAML_MAPPING_NODE)
        return wrong(r, value->start_mark, NULL,
                     "the key '%s' takes a value or a list, not keys of its own", key.name);
    if (value->type == YAML_SEQUENCE_NODE) {
        if (!read_list(r, value, &key))
            return false;
    } else if (is_plain(value)) {
        key.text = scalar(r, value);
    } else {
        return wrong(r, value->start_mark, NULL, "the value of '%s' holds a NUL byte", key.name);
    }
    *vec_push(r->arena, ret) = key;
    return true;
}

/* Keys that hold settings of their own. */
static const struct {
    const char *name, *prefix, *what, *hint;
} sections[] = {
    {"expect", "expect.", "the keys engine and version",
     "For example `expect: {engine: postgresql, version: \"15\"}`."},
    {"deploy", "deploy.", "the keys of a deploy",
     "For example `deploy: {target: docker, app: web, image: shop/web}`."},
};

/* Settings, and the sections with their keys below them. */
static bool
read_map(const Reader *r,
         const char *prefix,
         const yaml_node_t *node,
         bool from_environment,
         FileKeys *ret)
{
    if (!check_keys(r, node))
        return false;
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = node_at(r, pair->key), *value = node_at(r, pair->value);
        const char *word = (const char *)name->data.scalar.value;
        size_t s = 0;
        bool ok;
        if (!*prefix && strcmp(word, "environments") == 0 && !from_environment)
            continue;
        while (s < COUNT_OF(sections) && (*prefix || strcmp(word, sections[s].name) != 0))
            s++;
        if (s == COUNT_OF(sections))
            ok = read_key(r, prefix, name, value, from_environment, ret);
        else if (value->type == YAML_MAPPING_NODE)
            ok = read_map(r, sections[s].prefix, value, from_environment, ret);
        else
            ok = wrong(r, value->start_mark, sections[s].hint, "'%s' holds %s", word,
                       sections[s].what);
        if (!ok)
            return false;
    }
    return true;
}

static bool
read_environments(const Reader *r,
                  const yaml_node_t *node,
                  const char *environment,
                  FileKeys *ret,
                  FileKeys *others)
{
    static const char hint[] =
        "For example `environments:`, below it `production:`, and below that "
        "`wait: 2m`.";
    if (is_empty(r, node))
        return true;
    if (node->type != YAML_MAPPING_NODE)
        return wrong(r, node->start_mark, hint,
                     "'%s' holds names, and below each name its settings", "environments");
    if (!check_keys(r, node))
        return false;
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const char *name = (const char *)node_at(r, pair->key)->data.scalar.value;
        const yaml_node_t *body = node_at(r, pair->value);
        if (is_empty(r, body))
            continue;
        if (body->type != YAML_MAPPING_NODE)
            return wrong(r, body->start_mark, hint, "the environment '%s' holds no settings", name);
        bool chosen = environment && strcmp(name, environment) == 0;
        if (!read_map(r, "", body, true, chosen ? ret : others))
            return false;
    }
    return true;
}

static bool
read_document(const Reader *r, const char *environment, FileKeys *ret, FileKeys *others)
{
    const yaml_node_t *root = yaml_document_get_root_node(r->doc);
    if (!root || is_empty(r, root))
        return true;
    if (root->type != YAML_MAPPING_NODE)
        return wrong(r, root->start_mark, "For example `dir: db/migrations`.",
                     "the file must hold settings, each a key and a value");
    if (!read_map(r, "", root, false, ret))
        return false;
    const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
    for (; pair < root->data.mapping.pairs.top; pair++) {
        const char *name = (const char *)node_at(r, pair->key)->data.scalar.value;
        if (strcmp(name, "environments") == 0)
            return read_environments(r, node_at(r, pair->value), environment, ret, others);
    }
    return true;
}

static bool
parse_failed(const yaml_parser_t *parser, const Reader *r, Str text)
{
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_READER_ERROR) {
        size_t line, column;
        str_position(text, parser->problem_offset, &line, &column);
        mark = (yaml_mark_t){.line = line - 1, .column = column - 1};
    }
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    if (parser->context)
        problem = str_printf(r->arena, "%s %s", problem, parser->context);
    return wrong(r, mark,
                 "Check the indentation (blanks, no tabs), quotes and brackets before this "
                 "place.",
                 "not YAML: %s", problem);
}

/* How deep one more event leads, or up again. */
static int
step_of(yaml_event_type_t type)
{
    bool in = type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
    bool out = type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
    return in - out;
}

/* libyaml (0.2.5) takes time with the square of the depth: 20000 brackets cost a second. */
static bool
check_depth(const Reader *r, Str text)
{
    yaml_parser_t parser;
    yaml_event_t event;
    bool ok = true, ended = false;
    if (!yaml_parser_initialize(&parser))
        return error_set(r->err, ERROR_FAILED, "out of memory reading '%s'", r->path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    for (int depth = 0; ok && !ended;) {
        if (!yaml_parser_parse(&parser, &event)) {
            ok = parse_failed(&parser, r, text);
            break;
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        depth += step_of(event.type);
        if (depth > LEVELS_CEILING)
            ok = wrong(r, event.start_mark, NULL, "more than %d levels", LEVELS_CEILING);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return ok;
}

/* What stands behind the first document must be nothing. */
static bool
check_end(yaml_parser_t *parser, const Reader *r, Str text)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second))
        return parse_failed(parser, r, text);
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    bool ok = !root || wrong(r, root->start_mark, "Keep everything in one document.",
                             "a second document starts here");
    yaml_document_delete(&second);
    return ok;
}

bool
config_file_read(Arena *arena,
                 const char *path,
                 const char *environment,
                 FileKeys *ret,
                 FileKeys *ret_others,
                 Error *err)
{
    Str text;
    yaml_parser_t parser;
    yaml_document_t doc;
    Reader r = {arena, path, &doc, err};
    FileKeys keys = {0}, others = {0};
    if (!fs_read(arena, path, FILE_CEILING, &text, err) || !check_depth(&r, text))
        return false;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, ERROR_FAILED, "out of memory reading '%s'", path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    bool ok = yaml_parser_load(&parser, &doc) || parse_failed(&parser, &r, text);
    if (ok) {
        ok = read_document(&r, environment, &keys, &others) && check_end(&parser, &r, text);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    if (!ok)
        return false;
    *ret = keys;
    *ret_others = others;
    return true;
}
