/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into a tree. */

#include "doc/doc.h"

#include <string.h>

#include "core/banned.h"

DocNode *
doc_node(DocBuilder *b, DocKind kind, size_t line)
{
    if (b->nodes++ >= DOC_NODES_MAX) {
        error_set(b->err, ERROR_USAGE, "more than %d values, aliases written out", DOC_NODES_MAX);
        error_at(b->err, "", line, 0);
        return NULL;
    }
    DocNode *node = arena_make(b->arena, DocNode);
    *node = (DocNode){.kind = kind, .line = line, .text = STR("")};
    return node;
}

const DocNode *
doc_first(const DocNode *parent)
{
    return parent ? parent->first : NULL;
}

bool
doc_is(const DocNode *node, DocKind kind)
{
    return node && node->kind == kind;
}

static const DocNode *
get(const DocNode *map, Str key)
{
    if (!doc_is(map, DOC_MAP))
        return NULL;
    for (const DocNode *child = doc_first(map); child; child = child->next)
        if (str_eq(child->key, key))
            return child;
    for (const DocNode *child = doc_first(map); child; child = child->next) {
        if (!str_eq(child->key, STR("<<")))
            continue;
        const DocNode *found = get(child, key);
        for (const DocNode *one = doc_first(child->kind == DOC_LIST ? child : NULL); one;
             one = one->next)
            found = found ? found : get(one, key);
        if (found)
            return found;
    }
    return NULL;
}

const DocNode *
doc_get(const DocNode *map, const char *key)
{
    return get(map, str_of(key));
}

const DocNode *
doc_at(const DocNode *map, const char *path)
{
    for (Str rest = str_of(path); map && rest.n;) {
        size_t end = str_find(rest, '.');
        map = get(map, str_sub(rest, 0, end));
        rest = str_sub(rest, end < rest.n ? end + 1 : rest.n, rest.n);
    }
    return map;
}

Str
doc_text(const DocNode *node)
{
    if (!doc_is(node, DOC_SCALAR))
        return STR_ABSENT;
    bool null = !node->quoted && (!node->text.n || str_eq(node->text, STR("~")) ||
                                  str_eq_nocase(node->text, STR("null")));
    return null ? STR_ABSENT : node->text;
}

Str
doc_text_at(const DocNode *map, const char *path)
{
    return doc_text(doc_at(map, path));
}

bool
doc_is_true(const DocNode *node)
{
    Str text = doc_text(node);
    return text.p && !node->quoted &&
           (str_eq_nocase(text, STR("true")) || str_eq_nocase(text, STR("yes")) ||
            str_eq_nocase(text, STR("on")));
}
