/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite: what begins and ends transactions, what it refuses or ignores inside one. */

#include "sql/facts.h"

#include "core/banned.h"

static const WordKind kinds[] = {
    {"insert", SQL_KIND_DML},
    {"update", SQL_KIND_DML},
    {"delete", SQL_KIND_DML},
    {"select", SQL_KIND_DML},
    {"replace", SQL_KIND_DML},
    {"with", SQL_KIND_DML},
    {"values", SQL_KIND_DML},
    {"explain", SQL_KIND_DML},
    {"create", SQL_KIND_DDL},
    {"alter", SQL_KIND_DDL},
    {"drop", SQL_KIND_DDL},
    {"analyze", SQL_KIND_DDL},
    {"reindex", SQL_KIND_DDL},
    {"vacuum", SQL_KIND_DDL},
    {"begin", SQL_KIND_BEGIN},
    {"commit", SQL_KIND_COMMIT},
    {"end", SQL_KIND_COMMIT},
    {"rollback", SQL_KIND_ROLLBACK},
    {"savepoint", SQL_KIND_SAVEPOINT},
    {"release", SQL_KIND_SAVEPOINT},
    {"attach", SQL_KIND_SESSION},
};

/* Pragmas with an argument in parentheses that ask and do not set. */
static const char *const asking_pragmas[] = {
    "foreign_key_check", "foreign_key_list", "function_list",   "index_info",
    "index_list",        "index_xinfo",      "integrity_check", "quick_check",
    "table_info",        "table_list",       "table_xinfo",     NULL};

/* Inside a transaction foreign_keys is ignored without a word, and the others are refused. */
static const char *const outside_pragmas[] = {"foreign_keys", "journal_mode", "synchronous",
                                              "temp_store", NULL};

static void
read_pragma(Facts *f)
{
    Facts after = *f;
    facts_next(&after);
    if (facts_take_symbol(&after, '.')) { /* PRAGMA schema.name */
        *f = after;
        facts_next(&after);
    }
    bool parens = facts_at_symbol(&after, '(');
    if (facts_at(f, "wal_checkpoint")) {
        f->s->no_transaction = true;
        return;
    }
    if ((!parens && !facts_at_symbol(&after, '=')) || facts_at_any(f, asking_pragmas)) {
        f->s->kind = SQL_KIND_DML;
        return;
    }
    if (facts_at(f, "user_version") || facts_at(f, "application_id")) {
        f->s->kind = SQL_KIND_DML; /* stored in the file, and rolled back with the rest */
        return;
    }
    f->s->kind = SQL_KIND_SESSION;
    f->s->no_transaction = facts_at_any(f, outside_pragmas);
}

static SqlObjectKind
take_object_word(Facts *f)
{
    static const char *const before[] = {"temp", "temporary", "unique", "virtual", NULL};
    while (facts_take_any(f, before))
        ;
    return facts_take(f, "table")     ? SQL_OBJECT_TABLE
           : facts_take(f, "index")   ? SQL_OBJECT_INDEX
           : facts_take(f, "view")    ? SQL_OBJECT_VIEW
           : facts_take(f, "trigger") ? SQL_OBJECT_TRIGGER
                                      : SQL_OBJECT_NONE;
}

static void
read_ddl(Facts *f, FactsVerb verb)
{
    facts_object(f, take_object_word(f), verb);
    if (verb == FACTS_CHANGE && facts_take(f, "rename") && facts_take(f, "to"))
        facts_new_name(f);
}

void
facts_sqlite(Facts *f)
{
    SqlStatement *s = f->s;
    s->kind = facts_kind(f, kinds, COUNT_OF(kinds));
    if (facts_take(f, "pragma")) {
        read_pragma(f);
    } else if (facts_take(f, "vacuum")) {
        s->no_transaction = true;
    } else if (facts_take(f, "detach")) {
        s->no_transaction = true; /* locked in a transaction that has used it */
    } else if (facts_take(f, "create")) {
        read_ddl(f, FACTS_CREATE);
    } else if (facts_take(f, "drop")) {
        read_ddl(f, FACTS_DROP);
    } else if (facts_take(f, "alter")) {
        read_ddl(f, FACTS_CHANGE);
    } else if (facts_take(f, "rollback")) {
        facts_take(f, "transaction");
        if (facts_at(f, "to"))
            s->kind = SQL_KIND_SAVEPOINT;
    }
}
