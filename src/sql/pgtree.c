/* SPDX-License-Identifier: Apache-2.0 */
/* libpg_query 15: PostgreSQL 15's scanner and grammar. */

#include "sql/pgtree.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <string.h>
#include <strings.h>

#include "core/banned.h"

typedef PgQuery__Node Node;

static void
split_cleanup(PgQuerySplitResult *result)
{
    pg_query_free_split_result(*result);
}

static void
parse_cleanup(PgQueryProtobufParseResult *result)
{
    pg_query_free_protobuf_parse_result(*result);
}

static void
tree_cleanup(PgQuery__ParseResult **tree)
{
    if (*tree)
        pg_query__parse_result__free_unpacked(*tree, NULL);
}

/* The parser's cursor counts characters from 1. */
static int64_t
byte_offset(Str text, int cursor)
{
    size_t at = 0;
    for (int chars = 1; chars < cursor && at < text.n; chars++) {
        at++;
        while (at < text.n && ((unsigned char)text.p[at] & 0xc0) == 0x80)
            at++;
    }
    return (int64_t)at;
}

static void
tell(Str text, const PgQueryError *error, Error *err)
{
    error_set(err, ERROR_USAGE, "%s", error->message);
    err->cls = ERROR_CLASS_SYNTAX;
    err->sql_offset = error->cursorpos > 0 ? byte_offset(text, error->cursorpos) : 0;
}

static bool
holds_nocase(Str text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.n; i++) {
        if ((text.p[i] | 32) == word[0] && strncasecmp(text.p + i, word, n) == 0)
            return true;
    }
    return false;
}

bool
pg_boundaries(Arena *arena, Str text, PgSpans *ret, Error *err)
{
    PgSpans spans = {0};
    bool    standard_bodies = holds_nocase(text, "atomic");
    CLEANUP(split_cleanup)
    PgQuerySplitResult result = standard_bodies ? pg_query_split_with_parser(text.p)
                                                : pg_query_split_with_scanner(text.p);
    if (result.error) {
        tell(text, result.error, err);
        return false;
    }
    for (int i = 0; i < result.n_stmts; i++) {
        const PgQuerySplitStmt *s = result.stmts[i];
        *vec_push(arena, &spans) = (PgSpan){(size_t)s->stmt_location, (size_t)s->stmt_len};
    }
    *ret = spans;
    return true;
}

/* ---- facts ---- */

static Str
name_of(Arena *arena, const char *text)
{
    return text && text[0] ? str_copy(arena, str_of(text)) : STR_ABSENT;
}

static const PgQuery__DefElem *
option(size_t n, Node **options, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            strcasecmp(options[i]->def_elem->defname, name) == 0)
            return options[i]->def_elem;
    }
    return NULL;
}

static SqlKind
transaction_kind(PgQuery__TransactionStmtKind kind)
{
    switch (kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
        return SQL_KIND_BEGIN;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
        return SQL_KIND_COMMIT;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
        return SQL_KIND_ROLLBACK;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        return SQL_KIND_SAVEPOINT;
    default:
        return SQL_KIND_OTHER;
    }
}

static void
index_facts(Arena *arena, const PgQuery__IndexStmt *index, SqlStatement *s)
{
    s->creates = true;
    s->concurrent_index = s->no_transaction = s->waits_quietly = index->concurrent;
    s->object_name = name_of(arena, index->idxname);
    if (index->relation)
        s->object_schema = name_of(arena, index->relation->schemaname);
    s->object = s->object_name.p ? SQL_OBJECT_INDEX : SQL_OBJECT_NONE;
}

static void
drop_facts(Arena *arena, const PgQuery__DropStmt *drop, SqlStatement *s)
{
    s->drops = true;
    s->no_transaction = s->waits_quietly = drop->concurrent;
    if (drop->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_INDEX || drop->n_objects != 1 ||
        drop->objects[0]->node_case != PG_QUERY__NODE__NODE_LIST)
        return;
    const PgQuery__List *name = drop->objects[0]->list;
    if (!name->n_items || name->items[name->n_items - 1]->node_case != PG_QUERY__NODE__NODE_STRING)
        return;
    s->object = SQL_OBJECT_INDEX;
    s->object_name = name_of(arena, name->items[name->n_items - 1]->string->sval);
    if (name->n_items > 1 && name->items[name->n_items - 2]->node_case == PG_QUERY__NODE__NODE_STRING)
        s->object_schema = name_of(arena, name->items[name->n_items - 2]->string->sval);
}

static void
reindex_facts(Arena *arena, const PgQuery__ReindexStmt *reindex, SqlStatement *s)
{
    (void)arena;
    bool many = reindex->kind == PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_SCHEMA ||
                reindex->kind == PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_SYSTEM ||
                reindex->kind == PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_DATABASE;
    bool concurrently = option(reindex->n_params, reindex->params, "concurrently") != NULL;
    s->no_transaction = many || concurrently;
    s->waits_quietly = concurrently;
}

static void
alter_table_facts(const PgQuery__AlterTableStmt *alter, SqlStatement *s)
{
    bool only_validates = alter->n_cmds > 0;
    for (size_t i = 0; i < alter->n_cmds; i++) {
        if (alter->cmds[i]->node_case != PG_QUERY__NODE__NODE_ALTER_TABLE_CMD)
            continue;
        const PgQuery__AlterTableCmd *cmd = alter->cmds[i]->alter_table_cmd;
        if (cmd->subtype != PG_QUERY__ALTER_TABLE_TYPE__AT_ValidateConstraint)
            only_validates = false;
        if (cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DetachPartition && cmd->def &&
            cmd->def->node_case == PG_QUERY__NODE__NODE_PARTITION_CMD &&
            cmd->def->partition_cmd->concurrent)
            s->no_transaction = s->waits_quietly = true;
    }
    s->waits_quietly = s->waits_quietly || only_validates;
}

static void
session_facts(const PgQuery__VariableSetStmt *set, SqlStatement *s)
{
    /* SET LOCAL and SET TRANSACTION end with the transaction. */
    bool local = set->is_local || set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI;
    s->kind = local ? SQL_KIND_OTHER : SQL_KIND_SESSION;
}

static void
node_facts(Arena *arena, const Node *node, int server_major, SqlStatement *s)
{
    s->kind = SQL_KIND_DDL;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        s->kind = transaction_kind(node->transaction_stmt->kind);
        break;
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        session_facts(node->variable_set_stmt, s);
        break;
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
    case PG_QUERY__NODE__NODE_SELECT_STMT:
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        s->kind = SQL_KIND_DML;
        break;
    case PG_QUERY__NODE__NODE_COPY_STMT:
        s->kind = SQL_KIND_DML;
        s->copy_from_stdin = node->copy_stmt->is_from && !node->copy_stmt->is_program &&
                             !(node->copy_stmt->filename && node->copy_stmt->filename[0]);
        break;
    case PG_QUERY__NODE__NODE_DO_STMT:
    case PG_QUERY__NODE__NODE_CALL_STMT:
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
    case PG_QUERY__NODE__NODE_LOCK_STMT:
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
    case PG_QUERY__NODE__NODE_FETCH_STMT:
        s->kind = SQL_KIND_OTHER;
        break;
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
        s->kind = SQL_KIND_SESSION;
        s->no_transaction = node->discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL;
        break;
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        index_facts(arena, node->index_stmt, s);
        break;
    case PG_QUERY__NODE__NODE_DROP_STMT:
        drop_facts(arena, node->drop_stmt, s);
        break;
    case PG_QUERY__NODE__NODE_REINDEX_STMT:
        reindex_facts(arena, node->reindex_stmt, s);
        break;
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
        alter_table_facts(node->alter_table_stmt, s);
        break;
    case PG_QUERY__NODE__NODE_VACUUM_STMT:
        s->no_transaction = node->vacuum_stmt->is_vacuumcmd;
        break;
    case PG_QUERY__NODE__NODE_CLUSTER_STMT:
        s->no_transaction = node->cluster_stmt->relation == NULL;
        break;
    case PG_QUERY__NODE__NODE_ALTER_DATABASE_STMT:
        s->no_transaction = option(node->alter_database_stmt->n_options,
                                   node->alter_database_stmt->options, "tablespace") != NULL;
        break;
    case PG_QUERY__NODE__NODE_ALTER_ENUM_STMT:
        s->no_transaction = server_major > 0 && server_major < 12;
        break;
    case PG_QUERY__NODE__NODE_CREATEDB_STMT:
    case PG_QUERY__NODE__NODE_DROPDB_STMT:
    case PG_QUERY__NODE__NODE_CREATE_TABLE_SPACE_STMT:
    case PG_QUERY__NODE__NODE_DROP_TABLE_SPACE_STMT:
    case PG_QUERY__NODE__NODE_ALTER_SYSTEM_STMT:
    case PG_QUERY__NODE__NODE_CREATE_SUBSCRIPTION_STMT:
    case PG_QUERY__NODE__NODE_ALTER_SUBSCRIPTION_STMT:
    case PG_QUERY__NODE__NODE_DROP_SUBSCRIPTION_STMT:
        s->no_transaction = true;
        break;
    default:
        break;
    }
}

void
pg_facts(Arena *arena, Str text, int server_major, SqlStatement *s, bool *ret_known, Error *why)
{
    SCRATCH_ARENA(scratch);
    CLEANUP(parse_cleanup)
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(str_dup(scratch, text));
    *ret_known = result.error == NULL;
    if (result.error) {
        tell(text, result.error, why);
        return;
    }
    CLEANUP(tree_cleanup)
    PgQuery__ParseResult *tree = pg_query__parse_result__unpack(
        NULL /* malloc */, result.parse_tree.len, (const uint8_t *)result.parse_tree.data);
    /* Nesting beyond protobuf's limit parses and does not unpack: facts from the words then. */
    if (!tree) {
        *ret_known = false;
        return;
    }
    /* Several statements in one span (a goose block): the strictest facts of all. */
    for (size_t i = 0; i < tree->n_stmts; i++) {
        SqlStatement one = {0};
        node_facts(arena, tree->stmts[i]->stmt, server_major, &one);
        if (i == 0) {
            size_t offset = s->offset, length = s->length, line = s->line, column = s->column;
            *s = one;
            s->offset = offset;
            s->length = length;
            s->line = line;
            s->column = column;
        } else {
            s->no_transaction |= one.no_transaction;
            s->copy_from_stdin |= one.copy_from_stdin;
            s->waits_quietly &= one.waits_quietly;
            if (s->kind != one.kind)
                s->kind = SQL_KIND_OTHER;
        }
    }
}
