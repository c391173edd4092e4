/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names of the variables that say which database, in the order in which they are asked (contract
 * 3). One table for who reads them and for who sets them for a tool that reads them itself.
 */

#include <stdbool.h>

enum { ENV_DATABASE_URLS = 8, ENV_DATABASE_SETS = 4, ENV_DATABASE_NAMES = 4 };

/* A direct connection before a pooled one: session locks do not hold through a pooler. */
extern const char *const env_database_urls[ENV_DATABASE_URLS];

/* PART_ENGINE: where `engine` is not NULL it decides nothing, but is told as where it came from. */
enum { PART_HOST, PART_PORT, PART_DATABASE, PART_USER, PART_PASSWORD, PART_ENGINE, PART_COUNT };

typedef struct EnvDatabase {
    const char *engine; /* NULL = asked for by PART_ENGINE or the port */
    /* Any of these being set makes the set the choice. */
    const char *present[3];
    const char *names[PART_COUNT][ENV_DATABASE_NAMES]; /* first one set wins */
    bool defaults_to_user; /* the database, as the server's image has it */
} EnvDatabase;

extern const EnvDatabase env_databases[ENV_DATABASE_SETS];
