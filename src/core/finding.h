/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a look at files, database or image found: what happens, where, and how to mend it. */

#include "core/str.h"

typedef enum Severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR } Severity;

typedef struct Finding {
    const char *rule; /* stable name: "migrates-by-hand" */
    Severity severity;
    char *file;  /* NULL = no file */
    size_t line; /* 0 = the file as a whole */
    const char *message;
    const char *safer; /* what to do instead; a whole sentence */
} Finding;

typedef VEC(Finding) Findings;
