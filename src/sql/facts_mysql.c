/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MySQL and MariaDB: what commits by itself (DDL), what commits with our row (DML), and the object
 * of DDL. What may do either, such as CALL and EXECUTE, is neither.
 */

#include "sql/facts.h"

#include "core/banned.h"

static const WordKind kinds[] = {
    {"insert", SQL_KIND_DML},
    {"update", SQL_KIND_DML},
    {"delete", SQL_KIND_DML},
    {"replace", SQL_KIND_DML},
    {"select", SQL_KIND_DML},
    {"with", SQL_KIND_DML},
    {"values", SQL_KIND_DML},
    {"table", SQL_KIND_DML},
    {"do", SQL_KIND_DML},
    {"show", SQL_KIND_DML},
    {"explain", SQL_KIND_DML},
    {"describe", SQL_KIND_DML},
    {"desc", SQL_KIND_DML},
    {"checksum", SQL_KIND_DML},
    {"create", SQL_KIND_DDL},
    {"alter", SQL_KIND_DDL},
    {"drop", SQL_KIND_DDL},
    {"rename", SQL_KIND_DDL},
    {"truncate", SQL_KIND_DDL},
    {"grant", SQL_KIND_DDL},
    {"revoke", SQL_KIND_DDL},
    {"optimize", SQL_KIND_DDL},
    {"repair", SQL_KIND_DDL},
    {"check", SQL_KIND_DDL},
    {"lock", SQL_KIND_DDL},
    {"unlock", SQL_KIND_DDL},
    {"flush", SQL_KIND_DDL},
    {"cache", SQL_KIND_DDL},
    {"reset", SQL_KIND_DDL},
    {"install", SQL_KIND_DDL},
    {"uninstall", SQL_KIND_DDL},
    {"change", SQL_KIND_DDL},
    {"stop", SQL_KIND_DDL},
    {"start", SQL_KIND_DDL},
    {"begin", SQL_KIND_BEGIN},
    {"commit", SQL_KIND_COMMIT},
    {"rollback", SQL_KIND_ROLLBACK},
    {"savepoint", SQL_KIND_SAVEPOINT},
    {"release", SQL_KIND_SAVEPOINT},
    {"set", SQL_KIND_SESSION},
    {"use", SQL_KIND_SESSION},
    {"prepare", SQL_KIND_SESSION},
    {"deallocate", SQL_KIND_SESSION},
};

/* Outside of parentheses, to behind `DEFINER = 'a'@'b'` and the like. */
static void
skip_value(Facts *f)
{
    if (!facts_take_symbol(f, '='))
        return;
    facts_next(f);
    facts_skip_parens(f); /* CURRENT_USER() */
    while (facts_take_symbol(f, '@'))
        facts_next(f);
}

static SqlObjectKind
take_object_word(Facts *f, bool *ret_temporary)
{
    static const char *const before[] = {"or",      "replace", "aggregate", "unique", "fulltext",
                                         "spatial", "online",  "offline",   "ignore", NULL};
    *ret_temporary = false;
    for (;;) {
        if (facts_take(f, "temporary")) {
            *ret_temporary = true;
        } else if (facts_take(f, "definer") || facts_take(f, "algorithm")) {
            skip_value(f);
        } else if (facts_take(f, "sql")) { /* SQL SECURITY DEFINER */
            facts_next(f);
            facts_next(f);
        } else if (!facts_take_any(f, before)) {
            break;
        }
    }
    return facts_take(f, "table")                                    ? SQL_OBJECT_TABLE
           : facts_take(f, "index")                                  ? SQL_OBJECT_INDEX
           : facts_take(f, "view")                                   ? SQL_OBJECT_VIEW
           : facts_take(f, "trigger")                                ? SQL_OBJECT_TRIGGER
           : facts_take(f, "procedure") || facts_take(f, "function") ? SQL_OBJECT_ROUTINE
           : facts_take(f, "database") || facts_take(f, "schema")    ? SQL_OBJECT_DATABASE
                                                                     : SQL_OBJECT_NONE;
}

/* CREATE INDEX i ON t, DROP INDEX i ON t: what changes is the table. */
static void
index_table(Facts *f)
{
    if (!facts_seek(f, "on"))
        return;
    facts_next(f);
    facts_object(f, SQL_OBJECT_TABLE, FACTS_CHANGE);
}

/* ALTER TABLE t ADD ..., RENAME [TO|AS] u, ... */
static void
alter_table_name(Facts *f)
{
    static const char *const other[] = {"column", "index", "key", "constraint", "partition", NULL};
    static const char *const to[] = {"to", "as", NULL};
    bool one = true;
    while (!facts_end(f)) {
        if (one && facts_take(f, "rename") && !facts_at_any(f, other)) {
            if (!facts_take_any(f, to))
                facts_take_symbol(f, '=');
            facts_new_name(f);
            return;
        }
        one = f->parens == 0 && facts_at_symbol(f, ',');
        facts_next(f);
    }
}

static void
read_ddl(Facts *f, FactsVerb verb)
{
    /* ALTER DATABASE may leave out the name. */
    static const char *const options[] = {"character",  "charset", "default", "collate",
                                          "encryption", "read",    "comment", NULL};
    bool temporary;
    SqlObjectKind kind = take_object_word(f, &temporary);
    if (kind == SQL_OBJECT_INDEX) {
        index_table(f);
        return;
    }
    if (temporary && verb != FACTS_CHANGE) {
        f->s->kind = SQL_KIND_DML; /* no commit; ALTER of a temporary table does commit */
        return;
    }
    if (kind == SQL_OBJECT_DATABASE && verb == FACTS_CHANGE && facts_at_any(f, options))
        return;
    facts_object(f, kind, verb);
    if (kind == SQL_OBJECT_TABLE && verb == FACTS_CHANGE && f->s->object_name.p)
        alter_table_name(f);
}

/* RENAME TABLE a TO b. Where several are renamed, the first alone does not tell: they may swap. */
static void
read_rename(Facts *f)
{
    if (!facts_take(f, "table") && !facts_take(f, "tables"))
        return;
    facts_object(f, SQL_OBJECT_TABLE, FACTS_CHANGE);
    if (!facts_seek(f, "to"))
        return;
    facts_next(f);
    facts_new_name(f);
    if (facts_at_symbol(f, ','))
        facts_forget_object(f);
}

static void
read_set(Facts *f)
{
    if (facts_at(f, "password")) {
        f->s->kind = SQL_KIND_DDL;
    } else if (facts_take(f, "default")) {
        if (facts_at(f, "role"))
            f->s->kind = SQL_KIND_DDL;
    } else if (facts_at(f, "statement") && facts_seek(f, "for")) {
        facts_next(f); /* MariaDB: SET STATEMENT variable = value FOR statement */
        facts_mysql(f);
    }
}

/* [LOCAL|NO_WRITE_TO_BINLOG] TABLE; else MariaDB's ANALYZE of a query. */
static void
read_analyze(Facts *f)
{
    static const char *const before[] = {"local", "no_write_to_binlog", NULL};
    facts_take_any(f, before);
    f->s->kind = facts_at(f, "table") || facts_at(f, "tables") ? SQL_KIND_DDL : SQL_KIND_DML;
}

static void
read_xa(Facts *f)
{
    static const WordKind rows[] = {{"start", SQL_KIND_BEGIN},   {"begin", SQL_KIND_BEGIN},
                                    {"end", SQL_KIND_SAVEPOINT}, {"prepare", SQL_KIND_SAVEPOINT},
                                    {"commit", SQL_KIND_COMMIT}, {"rollback", SQL_KIND_ROLLBACK},
                                    {"recover", SQL_KIND_DML}};
    f->s->kind = facts_kind(f, rows, COUNT_OF(rows));
}

static void
read_ends(Facts *f)
{
    facts_next(f);
    facts_take(f, "work");
    if (f->s->kind == SQL_KIND_ROLLBACK && facts_at(f, "to"))
        f->s->kind = SQL_KIND_SAVEPOINT;
    else if (f->s->kind == SQL_KIND_BEGIN && facts_at(f, "not")) /* BEGIN NOT ATOMIC: a body */
        f->s->kind = SQL_KIND_OTHER;
}

void
facts_mysql(Facts *f)
{
    SqlStatement *s = f->s;
    s->kind = facts_at_symbol(f, '(') ? SQL_KIND_DML : facts_kind(f, kinds, COUNT_OF(kinds));
    if (facts_take(f, "create")) {
        read_ddl(f, FACTS_CREATE);
    } else if (facts_take(f, "alter")) {
        read_ddl(f, FACTS_CHANGE);
    } else if (facts_take(f, "drop")) {
        read_ddl(f, FACTS_DROP);
    } else if (facts_take(f, "rename")) {
        read_rename(f);
    } else if (facts_take(f, "truncate")) {
        facts_take(f, "table");
        facts_object(f, SQL_OBJECT_TABLE, FACTS_CHANGE);
    } else if (facts_take(f, "set")) {
        read_set(f);
    } else if (facts_take(f, "analyze")) {
        read_analyze(f);
    } else if (facts_take(f, "load")) {
        s->kind = facts_at(f, "index") ? SQL_KIND_DDL : SQL_KIND_DML;
    } else if (facts_take(f, "start")) {
        if (facts_at(f, "transaction"))
            s->kind = SQL_KIND_BEGIN;
    } else if (facts_take(f, "xa")) {
        read_xa(f);
    } else if (s->kind == SQL_KIND_BEGIN || s->kind == SQL_KIND_ROLLBACK) {
        read_ends(f);
    }
}
