/* SPDX-License-Identifier: Apache-2.0 */
/* YAML and JSON, from libyaml's events: its own document loader has no ceiling. */

#include "doc/doc.h"

#include <string.h>
#include <yaml.h>

#include "core/banned.h"

typedef struct Anchor {
    Str name;
    const DocNode *node; /* NULL while what it names is not complete */
} Anchor;

typedef struct Level {
    DocNode *node, *last;
    Str key;
    size_t key_line;
    bool has_key;
    size_t anchor; /* index + 1; 0 = none */
} Level;

typedef struct Reader {
    DocBuilder builder;
    Level levels[DOC_DEPTH_MAX];
    size_t depth;
    VEC(Anchor) anchors;
    DocNode *root;
} Reader;

static bool
wrong(Reader *r, yaml_mark_t mark, const char *what)
{
    error_set(r->builder.err, ERROR_USAGE, "%s", what);
    return error_at(r->builder.err, "", mark.line + 1, mark.column + 1);
}

static DocNode *
copy(DocBuilder *b, const DocNode *from, size_t line)
{
    DocNode *node = doc_node(b, from->kind, line), **end = node ? &node->first : NULL;
    if (!node)
        return NULL;
    node->text = from->text;
    node->quoted = from->quoted;
    for (const DocNode *child = doc_first(from); child; child = child->next) {
        *end = copy(b, child, child->line);
        if (!*end)
            return NULL;
        (*end)->key = child->key;
        end = &(*end)->next;
    }
    return node;
}

/* Where an anchor is said again, the later one counts. */
static size_t
open_anchor(Reader *r, const yaml_char_t *name)
{
    if (!name)
        return 0;
    *vec_push(r->builder.arena, &r->anchors) =
        (Anchor){.name = str_copy(r->builder.arena, str_of((const char *)name))};
    return r->anchors.n;
}

static void
close_anchor(Reader *r, size_t anchor, const DocNode *node)
{
    if (anchor)
        r->anchors.p[anchor - 1].node = node;
}

/* Puts a value where it belongs: a key waits for its value. */
static bool
place(Reader *r, DocNode *node, yaml_mark_t mark)
{
    Level *up = r->depth ? &r->levels[r->depth - 1] : NULL;
    if (!up) {
        r->root = node;
        return true;
    }
    if (up->node->kind == DOC_MAP && !up->has_key) {
        if (node->kind != DOC_SCALAR)
            return wrong(r, mark, "a key that is no plain word");
        up->key = node->text;
        up->key_line = node->line;
        up->has_key = true;
        return true;
    }
    if (up->node->kind == DOC_MAP) {
        node->key = up->key;
        node->line = up->key_line;
        up->has_key = false;
    }
    if (up->last)
        up->last->next = node;
    else
        up->node->first = node;
    up->last = node;
    return true;
}

static bool
begin(Reader *r, DocKind kind, const yaml_char_t *anchor, yaml_mark_t mark)
{
    DocNode *node = doc_node(&r->builder, kind, mark.line + 1);
    if (!node || !place(r, node, mark))
        return false;
    if (r->depth == DOC_DEPTH_MAX)
        return wrong(r, mark, "nested too deeply");
    r->levels[r->depth++] = (Level){.node = node, .anchor = open_anchor(r, anchor)};
    return true;
}

static void
end(Reader *r)
{
    const Level *level = &r->levels[--r->depth];
    close_anchor(r, level->anchor, level->node);
}

static bool
add_scalar(Reader *r, const yaml_event_t *e)
{
    DocNode *node = doc_node(&r->builder, DOC_SCALAR, e->start_mark.line + 1);
    if (!node)
        return false;
    node->text = str_copy(r->builder.arena,
                          (Str){(const char *)e->data.scalar.value, e->data.scalar.length});
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    close_anchor(r, open_anchor(r, e->data.scalar.anchor), node);
    return place(r, node, e->start_mark);
}

static bool
add_alias(Reader *r, const yaml_event_t *e)
{
    Str name = str_of((const char *)e->data.alias.anchor);
    const DocNode *named = NULL;
    for (size_t i = r->anchors.n; i-- > 0 && !named;)
        if (str_eq(r->anchors.p[i].name, name))
            named = r->anchors.p[i].node;
    if (!named)
        return wrong(r, e->start_mark, "an alias that stands for nothing, or for itself");
    DocNode *node = copy(&r->builder, named, e->start_mark.line + 1);
    return node && place(r, node, e->start_mark);
}

static bool
add_event(Reader *r, const yaml_event_t *e, Docs *docs)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(r, e);
    case YAML_ALIAS_EVENT:
        return add_alias(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return begin(r, DOC_LIST, e->data.sequence_start.anchor, e->start_mark);
    case YAML_MAPPING_START_EVENT:
        return begin(r, DOC_MAP, e->data.mapping_start.anchor, e->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        end(r);
        return true;
    case YAML_DOCUMENT_START_EVENT:
        r->root = NULL;
        r->anchors.n = 0;
        return true;
    case YAML_DOCUMENT_END_EVENT:
        if (docs->n == DOC_COUNT_MAX)
            return wrong(r, e->start_mark, "too many documents");
        if (r->root && (r->root->kind != DOC_SCALAR || r->root->text.n))
            *vec_push(r->builder.arena, docs) = r->root;
        return true;
    default:
        return true;
    }
}

static bool
parse_failed(Reader *r, const yaml_parser_t *parser)
{
    error_set(r->builder.err, ERROR_USAGE, "not YAML: %s",
              parser->problem ? parser->problem : "it cannot be read");
    return error_at(r->builder.err, "", parser->problem_mark.line + 1,
                    parser->problem_mark.column + 1);
}

bool
doc_read_yaml(Arena *arena, Str text, Docs *ret, Error *err)
{
    yaml_parser_t parser;
    Docs docs = {0};
    Reader r = {.builder = {.arena = arena, .err = err}};
    bool ok = true, done = false;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, ERROR_FAILED, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    while (ok && !done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            ok = parse_failed(&r, &parser);
            break;
        }
        done = event.type == YAML_STREAM_END_EVENT;
        ok = add_event(&r, &event, &docs);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (ok)
        *ret = docs;
    return ok;
}
