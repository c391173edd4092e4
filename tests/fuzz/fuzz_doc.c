/* SPDX-License-Identifier: Apache-2.0 */
/* Other people's YAML, JSON and TOML: a tree below its ceilings, or refused with a place. */

#include "doc/doc.h"

#include <stdlib.h>

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
count(const DocNode *node)
{
    size_t nodes = 1;
    if (node->line == 0 || (node->kind == DOC_SCALAR && (node->first || !node->text.p)))
        abort();
    for (const DocNode *child = doc_first(node); child; child = child->next)
        nodes += count(child);
    return nodes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    Docs docs = {0};
    DocNode *root = NULL;
    size_t nodes = 0;
    Str text = {(const char *)data, size};

    if (doc_read_yaml(arena, text, &docs, &err))
        for (size_t i = 0; i < docs.n; i++) {
            nodes += count(docs.p[i]);
            (void)doc_at(docs.p[i], "a.b.<<.c");
        }
    else if (err.code != ERROR_USAGE || err.message[0] == '\0')
        abort();
    if (nodes > DOC_NODES_MAX)
        abort();
    error_clear(&err);
    if (doc_read_toml(arena, text, &root, &err)) {
        if (count(root) > DOC_NODES_MAX)
            abort();
    } else if (err.code != ERROR_USAGE || err.message[0] == '\0') {
        abort();
    }
    return 0;
}
