/* SPDX-License-Identifier: Apache-2.0 */
/* The only user of libyaml. Aliases are looked through at most three levels deep, so that they
 * cannot blow up. */

#include <string.h>
#include <yaml.h>

#include "conf/file.h"
#include "core/fs.h"
#include "core/banned.h"

enum { FILE_CEILING = 1024 * 1024 };

typedef struct Reader {
    Arena           *arena;
    const char      *path;
    yaml_document_t *doc;
    Error           *err;
} Reader;

static bool
wrong(const Reader *r, yaml_mark_t mark, const char *what, const char *hint)
{
    error_set(r->err, ERROR_USAGE, "%s", what);
    if (hint)
        error_hint(r->err, "%s", hint);
    return error_at(r->err, r->path, mark.line + 1, mark.column + 1);
}

static char *
scalar(const Reader *r, const yaml_node_t *node)
{
    Str text = {(const char *)node->data.scalar.value, node->data.scalar.length};
    return str_dup(r->arena, text);
}

static bool
has_nul(const yaml_node_t *node)
{
    return memchr(node->data.scalar.value, 0, node->data.scalar.length) != NULL;
}

static bool
read_list(const Reader *r, const yaml_node_t *node, FileKey *key)
{
    VEC(char *) list = {0};
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *one = yaml_document_get_node(r->doc, *item);
        if (one->type != YAML_SCALAR_NODE || has_nul(one))
            return wrong(r, one->start_mark, "a list holds plain values only", NULL);
        *vec_push(r->arena, &list) = scalar(r, one);
    }
    *vec_push(r->arena, &list) = NULL;
    key->list = list.p;
    return true;
}

static bool
is_known(const FileKeys *keys, const FileKey *key)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->p[i].from_environment == key->from_environment &&
            strcmp(keys->p[i].name, key->name) == 0)
            return true;
    }
    return false;
}

static bool
read_key(const Reader *r, const char *prefix, const yaml_node_t *name, const yaml_node_t *value,
         bool from_environment, FileKeys *ret)
{
    if (name->type != YAML_SCALAR_NODE || has_nul(name))
        return wrong(r, name->start_mark, "a key is a plain word", NULL);
    FileKey key = {.name = str_printf(r->arena, "%s%s", prefix, scalar(r, name)),
                   .line = name->start_mark.line + 1,
                   .column = name->start_mark.column + 1,
                   .value_line = value->start_mark.line + 1,
                   .value_column = value->start_mark.column + 1,
                   .from_environment = from_environment};
    if (is_known(ret, &key))
        return wrong(r, name->start_mark, str_printf(r->arena, "the key '%s' stands here twice", key.name),
                     "Keep one of the two.");
    if (value->type == YAML_MAPPING_NODE)
        return wrong(r, value->start_mark,
                     str_printf(r->arena, "the key '%s' takes a value or a list, not keys of its own",
                                key.name),
                     NULL);
    if (value->type == YAML_SCALAR_NODE) {
        if (has_nul(value))
            return wrong(r, value->start_mark, "a value holds a NUL byte", NULL);
        key.text = scalar(r, value);
    } else if (!read_list(r, value, &key)) {
        return false;
    }
    *vec_push(r->arena, ret) = key;
    return true;
}

static bool
read_map(const Reader *r, const char *prefix, const yaml_node_t *node, bool from_environment,
         FileKeys *ret)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        if (!read_key(r, prefix, yaml_document_get_node(r->doc, pair->key),
                      yaml_document_get_node(r->doc, pair->value), from_environment, ret))
            return false;
    }
    return true;
}

static bool
is_empty(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0;
}

static bool
read_environments(const Reader *r, const yaml_node_t *node, const char *environment, FileKeys *ret,
                  FileKeys *others)
{
    if (is_empty(node))
        return true;
    if (node->type != YAML_MAPPING_NODE)
        return wrong(r, node->start_mark, "'environments' holds a name with settings below it",
                     "For example `environments:`, and in it `production:` with `wait: 2m`.");
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(r->doc, pair->key);
        const yaml_node_t *body = yaml_document_get_node(r->doc, pair->value);
        if (name->type != YAML_SCALAR_NODE)
            return wrong(r, name->start_mark, "an environment's name is a plain word", NULL);
        if (is_empty(body))
            continue;
        if (body->type != YAML_MAPPING_NODE)
            return wrong(r, body->start_mark, "an environment holds settings", NULL);
        bool     chosen = environment && strcmp(scalar(r, name), environment) == 0;
        FileKeys other = {0};
        if (!read_map(r, "", body, true, chosen ? ret : &other))
            return false;
        for (size_t i = 0; i < other.n; i++)
            *vec_push(r->arena, others) = other.p[i];
    }
    return true;
}

static bool
read_document(const Reader *r, const char *environment, FileKeys *ret, FileKeys *others)
{
    const yaml_node_t *root = yaml_document_get_root_node(r->doc);
    if (!root || is_empty(root))
        return true;
    if (root->type != YAML_MAPPING_NODE)
        return wrong(r, root->start_mark, "the file holds `key: value` lines", NULL);
    const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
    for (; pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(r->doc, pair->key);
        const yaml_node_t *value = yaml_document_get_node(r->doc, pair->value);
        Str key = name->type == YAML_SCALAR_NODE ? str_of(scalar(r, name)) : STR_ABSENT;
        bool ok;
        if (str_eq(key, STR("environments")))
            ok = read_environments(r, value, environment, ret, others);
        else if (str_eq(key, STR("expect")) && value->type == YAML_MAPPING_NODE)
            ok = read_map(r, "expect.", value, false, ret);
        else
            ok = read_key(r, "", name, value, false, ret);
        if (!ok)
            return false;
    }
    return true;
}

static bool
parse_failed(const yaml_parser_t *parser, const Reader *r)
{
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_READER_ERROR)
        mark = (yaml_mark_t){0};
    return wrong(r, mark,
                 str_printf(r->arena, "not YAML: %s%s%s",
                            parser->problem ? parser->problem : "unreadable",
                            parser->context ? " " : "", parser->context ? parser->context : ""),
                 NULL);
}

bool
config_file_read(Arena *arena, const char *path, const char *environment, FileKeys *ret,
                 FileKeys *ret_others, Error *err)
{
    Str             text;
    yaml_parser_t   parser;
    yaml_document_t doc, second;
    Reader          r = {arena, path, &doc, err};
    FileKeys        keys = {0}, others = {0};
    if (!fs_read(arena, path, FILE_CEILING, &text, err))
        return false;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, ERROR_FAILED, "cannot start reading '%s'", path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    bool ok = yaml_parser_load(&parser, &doc) || parse_failed(&parser, &r);
    if (ok) {
        ok = read_document(&r, environment, &keys, &others);
        bool more = ok && yaml_parser_load(&parser, &second);
        if (ok && !more)
            ok = parse_failed(&parser, &r);
        if (more) {
            const yaml_node_t *root = yaml_document_get_root_node(&second);
            if (root)
                ok = wrong(&r, root->start_mark, "a second document starts here",
                           "Keep everything in one document.");
            yaml_document_delete(&second);
        }
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    if (!ok)
        return false;
    *ret = keys;
    *ret_others = others;
    return true;
}
