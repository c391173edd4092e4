/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which database (contract 3): first found wins, and `from` says which. */

#include "conf/settings.h"
#include "core/secret.h"

/* Text of the URL or the parts; parsing is db/url.h's (cmd joins the two). */
typedef struct DatabaseChoice {
    bool found;
    Str url; /* when it came as a URL: hold it as a secret */
    bool is_parts;
    const char *engine; /* parts: "postgres", "mysql", "sqlite"; NULL: nothing says it */
    Str host, port, database, user, password, params;
    char *from; /* "--url", "LOCKSTEP_DATABASE_URL", "DATABASE_URL", "PGHOST, PGDATABASE" */
} DatabaseChoice;

bool database_choose(Arena *arena,
                     const Settings *settings,
                     char *const *environ_,
                     DatabaseChoice *ret,
                     Error *err) MUST_CHECK;
/* The error of parts without an engine, for whoever cannot find it out. */
bool database_no_engine(Error *err);
