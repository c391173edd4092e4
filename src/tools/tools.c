/* SPDX-License-Identifier: Apache-2.0 */
/* The table of tools, by number and by name. */

#include "tools/adapters.h"

#include <assert.h>
#include <string.h>

#include "core/banned.h"

static const Tool tools[] = {
#define TOOL(id, ...) [TOOL_##id] = {__VA_ARGS__},
#include "tools/tools.def"
#undef TOOL
};

/* The first field of each row alone: one pointer, so that the array is also one of pointers. */
typedef struct NameAlone {
    const char *name;
} NameAlone;
static const NameAlone names[] = {
#define TOOL(id, first, ...) {first},
#include "tools/tools.def"
#undef TOOL
    {NULL},
};
static_assert(sizeof(NameAlone) == sizeof(const char *), "an array of names");

const Tool *
tool_row(ToolId id)
{
    return &tools[id];
}

const Tool *
tool_by_name(const char *name)
{
    for (size_t i = 0; i < TOOL_COUNT; i++)
        if (strcmp(tools[i].name, name) == 0)
            return &tools[i];
    return NULL;
}

const char *const *
tool_names(void)
{
    return &names[0].name;
}
