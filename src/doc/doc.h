/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * YAML, JSON and TOML documents as one kind of tree, with the line of each value: for looking at
 * other people's files, so that nothing in them is an error of ours but what cannot be read.
 *
 * Read by libyaml (JSON is YAML); TOML as far as platform files use it. Everything lies in the
 * arena. An alias is a copy of what it stands for, so that a tree is a tree; copies count towards
 * DOC_NODES_MAX, which a "billion laughs" runs into. Tags are not looked at.
 */

#include "core/error.h"
#include "core/str.h"

enum { DOC_NODES_MAX = 100000, DOC_DEPTH_MAX = 64, DOC_COUNT_MAX = 1000 };

typedef enum DocKind { DOC_SCALAR, DOC_MAP, DOC_LIST } DocKind;

typedef struct DocNode DocNode;
struct DocNode {
    DocKind kind;
    size_t line; /* 1-based, of the value; of the key where it is the value of one */
    Str key;     /* in a map */
    Str text;    /* of a scalar; never absent */
    bool quoted; /* "null", "true" are text then */
    DocNode *first, *next;
};

typedef VEC(DocNode *) Docs;

/* All documents of the text; empty ones are left out. Errors are ERROR_USAGE with line and column,
 * without a file. */
bool doc_read_yaml(Arena *arena, Str text, Docs *ret, Error *err) MUST_CHECK;
/* One map. Inline tables and multi-line strings stand there as their source text. */
bool doc_read_toml(Arena *arena, Str text, DocNode **ret, Error *err) MUST_CHECK;

/* The value of a key; NULL where `map` is NULL, no map, or has none. Merge keys (<<) are followed.
 */
const DocNode *doc_get(const DocNode *map, const char *key);
/* The same through several maps: "spec.template.spec". */
const DocNode *doc_at(const DocNode *map, const char *path);
/* The text of a scalar; absent where it is none, or null. */
Str doc_text(const DocNode *node);
Str doc_text_at(const DocNode *map, const char *path);
bool doc_is_true(const DocNode *node); /* plain true, yes, on, in any case */
bool doc_is(const DocNode *node, DocKind kind);
/* The first child of a list or map; NULL for a scalar or NULL. The others are its `next`. */
const DocNode *doc_first(const DocNode *parent);

/* For the two readers. */
typedef struct DocBuilder {
    Arena *arena;
    size_t nodes;
    Error *err;
} DocBuilder;
/* NULL with the error set: too many. */
DocNode *doc_node(DocBuilder *b, DocKind kind, size_t line);
