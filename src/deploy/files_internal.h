/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The embedded templates; tools/embed-files writes the table. */

#include "deploy/files.h"

typedef struct Template {
    const char *name; /* "dokku/Procfile" */
    const char *text;
} Template;

extern const Template templates[]; /* sorted by name; ends with name NULL */

/* The words as a shell takes them: quoted where they have to be. */
char *facts_shell_words(Arena *arena, char *const *words);
