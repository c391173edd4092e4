/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Migrating as `run`, `migrate` and `rollback` do it. */

#include "cmd/cmd.h"

typedef struct MigrateKind {
    bool serve_health;
    bool rollback;
    int64_t steps;
    const char *to;
    bool only_reversible;
} MigrateKind;

/* The failure, if any, is on the log (and with the receivers of notifications) afterwards. */
bool migrate_once(Cli *cli, const MigrateKind *kind, RunReport *ret, Error *err) MUST_CHECK;
