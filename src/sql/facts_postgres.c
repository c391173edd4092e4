/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL: what cannot run inside a transaction block. The list is that of the server's own
 * PreventInTransactionBlock calls (utility.c and what it calls, 15 to 19), as far as a statement's
 * text tells; REINDEX and CLUSTER of a partitioned table are not to be seen from here.
 */

#include "sql/facts.h"

#include "core/banned.h"

static const WordKind kinds[] = {
    {"insert", SQL_KIND_DML},
    {"update", SQL_KIND_DML},
    {"delete", SQL_KIND_DML},
    {"select", SQL_KIND_DML},
    {"with", SQL_KIND_DML},
    {"values", SQL_KIND_DML},
    {"merge", SQL_KIND_DML},
    {"table", SQL_KIND_DML},
    {"copy", SQL_KIND_DML},
    {"show", SQL_KIND_DML},
    {"explain", SQL_KIND_DML},
    {"create", SQL_KIND_DDL},
    {"alter", SQL_KIND_DDL},
    {"drop", SQL_KIND_DDL},
    {"truncate", SQL_KIND_DDL},
    {"comment", SQL_KIND_DDL},
    {"grant", SQL_KIND_DDL},
    {"revoke", SQL_KIND_DDL},
    {"security", SQL_KIND_DDL},
    {"reassign", SQL_KIND_DDL},
    {"import", SQL_KIND_DDL},
    {"refresh", SQL_KIND_DDL},
    {"reindex", SQL_KIND_DDL},
    {"cluster", SQL_KIND_DDL},
    {"repack", SQL_KIND_DDL},
    {"vacuum", SQL_KIND_DDL},
    {"analyze", SQL_KIND_DDL},
    {"analyse", SQL_KIND_DDL},
    {"begin", SQL_KIND_BEGIN},
    {"start", SQL_KIND_BEGIN},
    {"commit", SQL_KIND_COMMIT},
    {"end", SQL_KIND_COMMIT},
    {"rollback", SQL_KIND_ROLLBACK},
    {"abort", SQL_KIND_ROLLBACK},
    {"savepoint", SQL_KIND_SAVEPOINT},
    {"release", SQL_KIND_SAVEPOINT},
    {"set", SQL_KIND_SESSION},
    {"reset", SQL_KIND_SESSION},
    {"load", SQL_KIND_SESSION},
    {"prepare", SQL_KIND_SESSION},
    {"deallocate", SQL_KIND_SESSION},
    {"listen", SQL_KIND_SESSION},
    {"unlisten", SQL_KIND_SESSION},
};

/* At the '(' of a list of options, (name [=] value, ...): is this one on? Stays where it is. */
static bool
option(const Facts *at, const char *name, bool otherwise)
{
    static const char *const off[] = {"off", "false", "0", NULL};
    Facts f = *at;
    if (!facts_at_symbol(&f, '('))
        return otherwise;
    facts_next(&f);
    for (size_t inside = f.parens; !facts_end(&f) && f.parens >= inside; facts_next(&f)) {
        if (!facts_at(&f, name))
            continue;
        facts_next(&f);
        facts_take_symbol(&f, '=');
        return !facts_at_any(&f, off);
    }
    return otherwise;
}

static void
concurrently(SqlStatement *s)
{
    s->no_transaction = s->waits_quietly = true;
}

/* ---- CREATE ---- */

static void
create_index(Facts *f)
{
    SqlStatement *s = f->s;
    Str table;
    if (facts_take(f, "concurrently")) {
        concurrently(s);
        s->concurrent_index = true;
    }
    if (facts_at(f, "on")) { /* the server makes up a name */
        s->object = SQL_OBJECT_INDEX;
        s->creates = true;
        return;
    }
    facts_object(f, SQL_OBJECT_INDEX, FACTS_CREATE);
    /* The index comes to stand in its table's schema. */
    if (s->object_name.p && facts_take(f, "on")) {
        facts_take(f, "only");
        facts_name(f, &s->object_schema, &table);
    }
}

static SqlObjectKind
take_object_word(Facts *f)
{
    static const char *const before[] = {
        "or",        "replace", "global", "local",      "temp",         "temporary", "unlogged",
        "recursive", "foreign", "unique", "constraint", "materialized", NULL};
    static const char *const routines[] = {"function", "procedure", "routine", "aggregate", NULL};
    while (facts_take_any(f, before))
        ;
    return facts_take(f, "table")        ? SQL_OBJECT_TABLE
           : facts_take(f, "index")      ? SQL_OBJECT_INDEX
           : facts_take(f, "view")       ? SQL_OBJECT_VIEW
           : facts_take(f, "trigger")    ? SQL_OBJECT_TRIGGER
           : facts_take(f, "database")   ? SQL_OBJECT_DATABASE
           : facts_take_any(f, routines) ? SQL_OBJECT_ROUTINE
                                         : SQL_OBJECT_NONE;
}

static void
read_create(Facts *f)
{
    SqlObjectKind kind = take_object_word(f);
    if (kind == SQL_OBJECT_INDEX) {
        create_index(f);
    } else if (kind != SQL_OBJECT_NONE) {
        facts_object(f, kind, FACTS_CREATE);
        f->s->no_transaction = kind == SQL_OBJECT_DATABASE;
    } else if (facts_at(f, "tablespace")) {
        f->s->no_transaction = true;
    } else if (facts_at(f, "subscription")) {
        facts_seek(f, "with");
        facts_next(f);
        f->s->no_transaction = option(f, "connect", true) && option(f, "create_slot", true);
    }
}

/* ---- ALTER ---- */

static void
alter_table(Facts *f)
{
    SqlStatement *s = f->s;
    bool one = true;
    facts_take(f, "if");
    facts_take(f, "exists");
    facts_take(f, "only");
    facts_object(f, SQL_OBJECT_TABLE, FACTS_CHANGE);
    facts_take_symbol(f, '*');
    if (facts_take(f, "rename")) {
        if (facts_take(f, "to"))
            facts_new_name(f);
        return;
    }
    if (facts_take(f, "detach")) {
        if (facts_seek(f, "concurrently"))
            concurrently(s);
        return;
    }
    s->waits_quietly = !facts_end(f);
    for (; !facts_end(f); facts_next(f)) { /* each subcommand by its first word */
        if (one && !facts_at(f, "validate"))
            s->waits_quietly = false;
        one = f->parens == 0 && facts_at_symbol(f, ',');
    }
}

static void
alter_subscription(Facts *f)
{
    Str none;
    facts_name(f, &none, &none);
    if (facts_at(f, "refresh")) {
        f->s->no_transaction = true;
        return;
    }
    facts_next(f); /* SET, ADD, DROP PUBLICATION refresh unless told otherwise */
    if (!facts_take(f, "publication"))
        return;
    facts_seek(f, "with");
    facts_next(f);
    f->s->no_transaction = option(f, "refresh", true);
}

static void
alter_type(Facts *f)
{
    int major = f->options->server_major;
    Str none;
    facts_name(f, &none, &none);
    if (facts_take(f, "add") && facts_at(f, "value"))
        f->s->no_transaction = major > 0 && major < 12;
}

static void
alter_other(Facts *f, SqlObjectKind kind)
{
    static const char *const before[] = {"set", "with", NULL};
    facts_object(f, kind, FACTS_CHANGE);
    facts_skip_parens(f); /* argument types of a routine */
    if (kind == SQL_OBJECT_DATABASE && (facts_take_any(f, before), facts_at(f, "tablespace")))
        f->s->no_transaction = true;
    else if (kind != SQL_OBJECT_NONE && facts_take(f, "rename") && facts_take(f, "to"))
        facts_new_name(f);
}

static void
read_alter(Facts *f)
{
    if (facts_take(f, "type")) {
        alter_type(f);
    } else if (facts_take(f, "subscription")) {
        alter_subscription(f);
    } else if (facts_at(f, "system")) {
        f->s->no_transaction = true;
    } else {
        SqlObjectKind kind = take_object_word(f);
        if (facts_at(f, "all")) /* ALTER TABLE ALL IN TABLESPACE */
            return;
        if (kind == SQL_OBJECT_TABLE)
            alter_table(f);
        else
            alter_other(f, kind);
    }
}

/* ---- the rest ---- */

static void
read_drop(Facts *f)
{
    SqlObjectKind kind = take_object_word(f);
    if (kind == SQL_OBJECT_INDEX && facts_take(f, "concurrently"))
        concurrently(f->s);
    if (kind == SQL_OBJECT_DATABASE || facts_at(f, "tablespace") || facts_at(f, "subscription"))
        f->s->no_transaction = true;
    facts_object(f, kind, FACTS_DROP);
}

static void
read_reindex(Facts *f)
{
    static const char *const whole[] = {"schema", "database", "system", NULL};
    if (option(f, "concurrently", false))
        concurrently(f->s);
    facts_skip_parens(f);
    bool index = facts_at(f, "index"), table = facts_at(f, "table");
    if (facts_at_any(f, whole))
        f->s->no_transaction = true;
    facts_next(f);
    if (facts_take(f, "concurrently"))
        concurrently(f->s);
    facts_object(f,
                 index   ? SQL_OBJECT_INDEX
                 : table ? SQL_OBJECT_TABLE
                         : SQL_OBJECT_NONE,
                 FACTS_CHANGE);
}

/* CLUSTER, REPACK (19): of all tables they commit after each. */
static void
read_cluster(Facts *f)
{
    if (option(f, "concurrently", false))
        concurrently(f->s);
    facts_skip_parens(f);
    facts_take(f, "verbose");
    if (facts_end(f))
        f->s->no_transaction = true;
    facts_object(f, SQL_OBJECT_TABLE, FACTS_CHANGE);
    if (facts_at(f, "on")) /* CLUSTER index ON table, as before 8.4 */
        facts_forget_object(f);
}

static void
read_copy(Facts *f)
{
    static const char *const inline_data[] = {"stdin", "stdout", NULL}; /* FROM takes either */
    if (facts_seek(f, "from")) {
        facts_next(f);
        f->s->copy_from_stdin = facts_at_any(f, inline_data);
    }
}

static void
read_set(Facts *f)
{
    static const char *const transaction_only[] = {"local", "transaction", "constraints", NULL};
    if (facts_at_any(f, transaction_only))
        f->s->kind = SQL_KIND_OTHER;
}

static void
read_transaction(Facts *f)
{
    static const char *const noise[] = {"work", "transaction", NULL};
    SqlStatement *s = f->s;
    if (facts_at(f, "prepared")) { /* COMMIT PREPARED, ROLLBACK PREPARED: of another session's */
        s->kind = SQL_KIND_OTHER;
        s->no_transaction = true;
        return;
    }
    facts_take_any(f, noise);
    if (s->kind == SQL_KIND_ROLLBACK && facts_at(f, "to"))
        s->kind = SQL_KIND_SAVEPOINT;
}

void
facts_postgres(Facts *f)
{
    SqlStatement *s = f->s;
    s->kind = facts_at_symbol(f, '(') ? SQL_KIND_DML : facts_kind(f, kinds, COUNT_OF(kinds));
    if (facts_take(f, "create")) {
        read_create(f);
    } else if (facts_take(f, "alter")) {
        read_alter(f);
    } else if (facts_take(f, "drop")) {
        read_drop(f);
    } else if (facts_take(f, "truncate")) {
        facts_take(f, "table");
        facts_take(f, "only");
        facts_object(f, SQL_OBJECT_TABLE, FACTS_CHANGE);
    } else if (facts_take(f, "reindex")) {
        read_reindex(f);
    } else if (facts_take(f, "cluster") || facts_take(f, "repack")) {
        read_cluster(f);
    } else if (facts_at(f, "vacuum")) {
        s->no_transaction = true;
    } else if (facts_take(f, "discard")) {
        s->no_transaction = facts_at(f, "all");
    } else if (facts_take(f, "copy")) {
        read_copy(f);
    } else if (facts_take(f, "set")) {
        read_set(f);
    } else if (facts_take(f, "prepare")) {
        if (facts_at(f, "transaction")) /* two-phase: it ends the transaction */
            s->kind = SQL_KIND_COMMIT;
    } else if (s->kind == SQL_KIND_COMMIT || s->kind == SQL_KIND_ROLLBACK) {
        facts_next(f);
        read_transaction(f);
    }
}
