/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at files and database without changing either. */

#include <limits.h>
#include <string.h>

#include "run/wrapped.h"
#include "core/banned.h"

static bool
expectation_met(const RunOptions *options, const DbFacts *facts, Error *err)
{
    const char *engine = options->expect_engine, *version = options->expect_version;
    const char *origin = options->expect_origin ? options->expect_origin : "lockstep.yaml";
    bool engine_fits =
        !engine || strcasecmp(engine, facts->flavor) == 0 ||
        strcasecmp(engine, db_engine_name(options->url->engine)) == 0 ||
        (strcasecmp(engine, "postgres") == 0 && strcmp(facts->flavor, "postgresql") == 0);
    if (!engine_fits) {
        error_set(err, ERROR_REFUSED, "%s expects %s, and this database is %s", origin, engine,
                  facts->flavor);
        return error_hint(err, "Check that the URL names the right server.");
    }
    /* "15" accepts 15.18; "10.11" accepts 10.11.19 and not 10.1. */
    Str want = str_of(version), have = str_of(facts->version);
    while (have.n && (have.p[0] < '0' || have.p[0] > '9'))
        have = str_sub(have, 1, have.n);
    if (version && !(str_starts(have, want) &&
                     (have.n == want.n || have.p[want.n] < '0' || have.p[want.n] > '9'))) {
        error_set(err, ERROR_REFUSED, "%s expects version %s, and this server is %s", origin,
                  version, facts->version);
        return error_hint(err,
                          "Check that the URL names the right server, or change the expectation.");
    }
    return true;
}

/* Checksums of the files whose rows have one to compare with; repeatables are pending by theirs. */
static bool
hash_applied(Arena *arena, const SourceOptions *how, Survey *s, Error *err)
{
    for (size_t i = 0; i < s->plan.applied.n; i++) {
        const PlanItem *item = &s->plan.applied.p[i];
        if (item->m && item->row && (item->row->checksum || item->row->tool_checksum) &&
            !migration_hash(arena, &s->source, item->m, how, err))
            return false;
    }
    return true;
}

static bool
hash_repeatables(Arena *arena, const SourceOptions *how, Survey *s, Error *err)
{
    for (size_t i = 0; i < s->source.migrations.n; i++) {
        if (s->source.migrations.p[i].repeatable &&
            !migration_hash(arena, &s->source, &s->source.migrations.p[i], how, err))
            return false;
    }
    return true;
}

bool
run_may_write(const DbFacts *facts, Error *err)
{
    if (!facts->standby && !facts->read_only)
        return true;
    error_set(err, ERROR_REFUSED, "the %s is %s: nothing can be migrated through it",
              facts->standby ? "server" : "database", facts->standby ? "a standby" : "read-only");
    return error_hint(err, "Point the URL at the primary, or make the database writable.");
}

bool
run_look(Arena *arena, const RunOptions *options, Source *ret, Error *err)
{
    const Project *project = options->project;
    if (options->looked) {
        *ret = *options->looked;
        return true;
    }
    if (!project)
        return source_look(arena, &options->source, ret, err);
    *ret = (Source){.format_name = project->tool->name,
                    .dir = str_dup(arena, str_of(project->dir)),
                    .files = 1};
    return tool_print(arena, project, &ret->stat_digest, err);
}

bool
run_survey(
    Arena *arena, Db *db, const RunOptions *options, bool check_content, Survey *ret, Error *err)
{
    Survey s = {.facts = ret->facts};
    SourceOptions how = options->source;
    if (!s.facts.version && !db_facts(db, arena, &s.facts, err))
        return error_wrap(err, "asking the server");
    if (!expectation_met(options, &s.facts, err))
        return false;
    Str schema = options->schema ? str_of(options->schema) : str_of(s.facts.schema);
    if (options->project) {
        if (!wrapped_survey(arena, db, options, schema, &s, err))
            return false;
        *ret = s;
        ret->tool.files = &ret->tool_files; /* on their final place */
        return true;
    }
    how.server_major = s.facts.version_major;
    if (strcmp(s.facts.flavor, "cockroachdb") == 0)
        how.server_major = INT_MAX; /* its grammar is its own: the server judges */
    if (!source_scan(arena, &how, &s.source, err))
        return false;
    bool recognised = !how.format || strcmp(how.format, "auto") == 0;
    if (recognised &&
        (s.source.format == FORMAT_PLAIN || s.source.format == FORMAT_GOLANG_MIGRATE)) {
        if (!ledger_probe(arena, db, schema, &how.tern_table_exists, &how.sqlx_table_exists, err))
            return error_wrap(err, "looking for version tables");
        if (!source_settle(arena, &s.source, &how, err))
            return false;
    }
    LedgerSpec spec = {.format = s.source.format,
                       .schema = schema,
                       .table = options->table,
                       .database = s.facts.database,
                       .own_allowed = s.facts.can_create};
    if (!ledger_open(arena, db, &spec, &s.ledger, err) || !ledger_read(arena, db, &s.ledger, err))
        return error_wrap(err, "reading the version table");
    /* Tables that are there already can be used without the right to make them. */
    if (s.ledger.own_exists && s.ledger.runs_exists)
        s.ledger.spec.own_allowed = true;
    if (!hash_repeatables(arena, &how, &s, err))
        return false;
    plan_build(arena, &s.source, &s.ledger, false, &s.plan);
    if (check_content) {
        if (!hash_applied(arena, &how, &s, err))
            return false;
        plan_build(arena, &s.source, &s.ledger, true, &s.plan);
    }
    *ret = s;
    /* The plan points into the source and the ledger: build it on their final place. */
    plan_build(arena, &ret->source, &ret->ledger, check_content, &ret->plan);
    return true;
}
