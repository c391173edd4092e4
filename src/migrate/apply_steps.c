/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statement by statement: what cannot be in one transaction with its version row. After each
 * statement the progress is recorded, with a hash of the finished part; a statement that cannot
 * commit with its record is marked before, with a look at its object (doubt.h).
 */

#include "core/clock.h"
#include "core/fault.h"
#include "core/hash.h"
#include "migrate/apply_internal.h"
#include "migrate/doubt.h"
#include "core/banned.h"

static Str
prefix_hash(Arena *arena, const Script *script, size_t done)
{
    Hasher *hasher = hasher_new(arena);
    for (size_t i = 0; i < done; i++) {
        hasher_add(hasher, str_of(hash_text_hex(arena, apply_statement_text(script, i))));
        hasher_add(hasher, STR(";"));
    }
    return str_of(hasher_hex(arena, hasher));
}

typedef struct Steps {
    Apply *a;
    const Migration *m;
    const Script *script;
    bool keeps_progress; /* our table may be written, and this is no rollback */
} Steps;

static bool
in_own_transaction(const Apply *a, Str sql, Error *err)
{
    Db *db = a->spec->db;
    return db_do(db, Q_APPLY_BEGIN,
                 DB_ARGS(ARG_INT("lock_timeout", a->spec->lock_timeout_ms),
                         ARG_INT("statement_timeout", 0)),
                 err) &&
           apply_step(a, err) && db_exec_list(db, sql, err) && db_do(db, Q_APPLY_COMMIT, NULL, err);
}

/* `looked` absent: nothing is in doubt. */
static Str
progress_sql(const Steps *s, size_t done, Str looked)
{
    const ApplySpec *spec = s->a->spec;
    StrBuf doubt = strbuf_new(s->a->arena, 4096);
    strbuf_add(&doubt, prefix_hash(s->a->arena, s->script, done));
    if (looked.p) {
        strbuf_addc(&doubt, ':');
        strbuf_add(&doubt, looked);
    }
    return ledger_sql_progress(s->a->arena, spec->db, spec->ledger, s->m, (int)done,
                               strbuf_str(&doubt), spec->run_id, apply_fence(s->a->arena, spec));
}

static bool
save_progress(const Steps *s, size_t done, Str looked, Error *err)
{
    return !s->keeps_progress || in_own_transaction(s->a, progress_sql(s, done, looked), err);
}

/* Can statement i commit together with its progress row? */
static bool
commits_with_record(const Steps *s, size_t i)
{
    const SqlStatement *st = &s->script->statements.p[i];
    if (st->no_transaction)
        return false;
    return (db_caps(s->a->spec->db) & DB_CAP_DDL_TRANSACTION) || st->kind == SQL_KIND_DML;
}

/* Statements [i, end) in one transaction with their progress: one statement, or what the file
 * itself put between BEGIN and COMMIT. */
static bool
run_unit(const Steps *s, size_t i, size_t end, Error *err)
{
    Db *db = s->a->spec->db;
    if (!db_do(db, Q_APPLY_BEGIN,
               DB_ARGS(ARG_INT("lock_timeout", s->a->spec->lock_timeout_ms),
                       ARG_INT("statement_timeout", s->a->spec->statement_timeout_ms)),
               err))
        return false;
    for (size_t k = i; k < end; k++) {
        SqlKind kind = s->script->statements.p[k].kind;
        if (kind == SQL_KIND_BEGIN || kind == SQL_KIND_COMMIT)
            continue;
        if (!apply_statement(s->a, s->script, k, err))
            return false;
    }
    if (s->keeps_progress &&
        (!apply_step(s->a, err) || !db_exec_list(db, progress_sql(s, end, STR_ABSENT), err)))
        return false;
    FAULT_POINT("unit.before-commit");
    return db_do(db, Q_APPLY_COMMIT, NULL, err);
}

/* A statement that the engine cannot put in a transaction with our row. */
static bool
run_alone(const Steps *s, size_t i, Error *err)
{
    const ApplySpec *spec = s->a->spec;
    const SqlStatement *st = &s->script->statements.p[i];
    Str looked = STR("unknown");
    bool session = st->kind == SQL_KIND_SESSION;
    if (!session) {
        if (!doubt_drop_invalid_index(s->a->arena, spec->db, st, err) ||
            !doubt_look(s->a->arena, spec->db, s->script->body, st, &looked, err) ||
            !save_progress(s, i, looked, err))
            return false;
    }
    /* A rollback keeps no progress: what one that was lost half-way has dropped is not there. */
    if (s->a->down && st->drops && str_eq(looked, STR("absent")))
        return true;
    if (st->waits_quietly && !db_set_timeouts(spec->db, 0, 0, err))
        return false;
    if (!apply_statement(s->a, s->script, i, err))
        return false;
    if (st->waits_quietly &&
        !db_set_timeouts(spec->db, spec->lock_timeout_ms, spec->statement_timeout_ms, err))
        return false;
    return session || save_progress(s, i + 1, STR_ABSENT, err);
}

static size_t
unit_end(const Steps *s, size_t i)
{
    const SqlStatements *all = &s->script->statements;
    if (all->p[i].kind != SQL_KIND_BEGIN)
        return i + 1;
    for (size_t k = i + 1; k < all->n; k++) {
        if (all->p[k].kind == SQL_KIND_COMMIT)
            return k + 1;
        if (all->p[k].kind == SQL_KIND_ROLLBACK || !commits_with_record(s, k))
            break;
    }
    return i + 1;
}

static bool
edited(const Steps *s, size_t done, Error *err)
{
    error_set(
        err, ERROR_REFUSED,
        "%zu statement%s of this migration %s run before, and the file was changed there since",
        done, done == 1 ? "" : "s", done == 1 ? "has" : "have");
    error_at(err, s->script->file, 1, 1);
    return error_hint(err,
                      "Restore the finished part of the file; only what comes after statement "
                      "%zu may be mended. Or forget what was done: `lockstep repair`.",
                      done);
}

/* Where an earlier attempt stopped: verifies the finished part and settles what is in doubt. */
static bool
find_start(const Steps *s, const LedgerRow *row, size_t *ret_start, Error *err)
{
    Arena *arena = s->a->arena;
    *ret_start = 0;
    if (!s->keeps_progress || !row || !row->doubt)
        return true;
    size_t done = row->statements_done > 0 ? (size_t)row->statements_done : 0;
    Str doubt = str_of(row->doubt);
    size_t colon = str_find(doubt, ':');
    if (done > s->script->statements.n ||
        !str_eq(str_sub(doubt, 0, colon), prefix_hash(arena, s->script, done)))
        return edited(s, done, err);
    *ret_start = done;
    bool known = row->state == ROW_FAILED || s->a->saw_failure;
    if (known || colon == doubt.n || done == s->script->statements.n)
        return true;

    DoubtVerdict verdict;
    if (!doubt_settle(arena, s->a->spec->db, s->script->body, &s->script->statements.p[done],
                      str_sub(doubt, colon + 1, doubt.n), &verdict, err))
        return false;
    if (verdict == DOUBT_DONE)
        *ret_start = done + 1;
    if (verdict != DOUBT_UNKNOWN)
        return true;
    error_set(err, ERROR_FAILED,
              "the process was lost while this statement ran, and the schema does not tell whether "
              "it took effect");
    apply_fail_at(s->script, done, 0, err);
    return error_hint(err,
                      "Look at the database. If it did not happen, `lockstep repair` lets it run "
                      "again; if it did, take the statement out of the file first.");
}

/* Settings that the finished part made belong to a session that is gone: make them again. */
static bool
replay_session(const Steps *s, size_t start, Error *err)
{
    for (size_t i = 0; i < start; i++) {
        if (s->script->statements.p[i].kind == SQL_KIND_SESSION &&
            !db_exec(s->a->spec->db, apply_statement_text(s->script, i), err))
            return apply_fail_at(s->script, i, 0, err);
    }
    return true;
}

static bool
begin_steps(const Steps *s, Error *err)
{
    const ApplySpec *spec = s->a->spec;
    if (!s->keeps_progress)
        return true;
    Str sql = ledger_sql_begun(s->a->arena, spec->db, spec->ledger, s->m, spec->run_id,
                               apply_fence(s->a->arena, spec));
    return in_own_transaction(s->a, sql, err);
}

bool
apply_steps(Apply *a, const Migration *m, const Script *script, const LedgerRow *row, Error *err)
{
    const ApplySpec *spec = a->spec;
    Steps s = {a, m, script, !a->down && spec->ledger->spec.own_allowed};
    int64_t started = clock_ms();
    size_t start;
    if (!apply_group_close(a, err) || !find_start(&s, row, &start, err))
        return false;
    if (start == 0 ? !begin_steps(&s, err) : !save_progress(&s, start, STR_ABSENT, err))
        return false;
    if (start > 0 && spec->hooks.resumed)
        spec->hooks.resumed(spec->hooks.ctx, m, start + 1, script->statements.n);
    if (!db_set_timeouts(spec->db, spec->lock_timeout_ms, spec->statement_timeout_ms, err) ||
        !replay_session(&s, start, err))
        return false;

    for (size_t i = start, end; i < script->statements.n; i = end) {
        SqlKind kind = script->statements.p[i].kind;
        end = unit_end(&s, i);
        bool own_transaction =
            end > i + 1 ||
            (commits_with_record(&s, i) && kind != SQL_KIND_BEGIN && kind != SQL_KIND_COMMIT &&
             kind != SQL_KIND_ROLLBACK && kind != SQL_KIND_SAVEPOINT && kind != SQL_KIND_SESSION);
        if (!(own_transaction ? run_unit(&s, i, end, err) : run_alone(&s, i, err)))
            return false;
        FAULT_POINT("statement.recorded");
    }
    /* Role and settings of the file end here; the record is written by the role that connected. */
    if (!db_reset(spec->db, err))
        return false;
    FAULT_POINT("record.before");
    if (!in_own_transaction(a, apply_record_sql(a, m, clock_ms() - started), err))
        return false;
    FAULT_POINT("record.after");
    apply_told(a, m, clock_ms() - started);
    return true;
}
