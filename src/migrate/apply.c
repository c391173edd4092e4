/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of things around one migration. Invariants:
 *  - a version row is committed with the migration's effect, or after a mark that names the one
 *    statement that may be in doubt;
 *  - every transaction that records something also touches our row of lockstep_runs, so that a run
 *    that was declared lost can commit nothing more (see run_step in run.sql);
 *  - `applied` is told only after the commit.
 */

#include "migrate/apply.h"

#include "core/clock.h"
#include "core/fault.h"
#include "core/hash.h"
#include "migrate/doubt.h"
#include "core/banned.h"

enum {
    SCRIPT_CEILING = 512 * 1024 * 1024,
    RETRY_BASE_MS = 500,
    RETRY_CAP_MS = 30000,
    /* SQLite: commit a group after this long; a crash loses no more than this much work, never
     * half a file. */
    GROUP_MS = 500,
};

/* One piece of a composed script: which statement of the file it is, or NONE for ours. */
#define NONE SIZE_MAX
typedef struct Piece {
    size_t offset, statement;
} Piece;

typedef struct Composer {
    Arena *arena;
    StrBuf text;
    VEC(Piece) pieces;
} Composer;

typedef struct Done {
    const Migration *m;
    int64_t duration_ms;
} Done;

typedef struct Apply {
    const ApplySpec *spec;
    Arena *arena; /* of one migration */
    bool down;
    const char *previous; /* down: version that is the highest afterwards */
    int64_t applied;      /* committed so far */
    int64_t retry_until_ms;
    bool saw_failure; /* of the statement that progress marks: it is in no doubt */
    bool group_open;
    int64_t group_since_ms;
    VEC(Done) group; /* in the open group, not yet committed */
    Arena *group_arena;
} Apply;

/* ---- what a script needs ---- */

/* A file that is one BEGIN ... COMMIT runs in our transaction instead: same effect, and the version
 * row joins it. Returns the range of statements inside. */
static void
inner_range(const Script *script, size_t *from, size_t *to)
{
    const SqlStatements *s = &script->statements;
    *from = 0;
    *to = s->n;
    if (s->n < 2 || s->p[0].kind != SQL_KIND_BEGIN || s->p[s->n - 1].kind != SQL_KIND_COMMIT)
        return;
    for (size_t i = 1; i + 1 < s->n; i++) {
        if (s->p[i].kind == SQL_KIND_BEGIN || s->p[i].kind == SQL_KIND_COMMIT ||
            s->p[i].kind == SQL_KIND_ROLLBACK)
            return;
    }
    *from = 1;
    *to = s->n - 1;
}

/* A setting that SQLite ignores inside a transaction: at the head of a file it is run before. */
static bool
is_outside_setting(const SqlStatement *s)
{
    return s->no_transaction && s->kind == SQL_KIND_SESSION;
}

bool
apply_is_whole(unsigned caps, const Script *script)
{
    if (script->no_transaction)
        return false;
    size_t from, to;
    inner_range(script, &from, &to);
    for (size_t i = from; i < to; i++) {
        const SqlStatement *s = &script->statements.p[i];
        if (s->kind == SQL_KIND_BEGIN || s->kind == SQL_KIND_COMMIT || s->kind == SQL_KIND_ROLLBACK)
            return false;
        if (s->no_transaction && !is_outside_setting(s))
            return false;
        if (!(caps & DB_CAP_DDL_TRANSACTION) && s->kind != SQL_KIND_DML &&
            s->kind != SQL_KIND_SESSION)
            return false;
    }
    return true;
}

static Str
statement_text(const Script *script, size_t i)
{
    const SqlStatement *s = &script->statements.p[i];
    return str_sub(script->body, s->offset, s->offset + s->length);
}

/* Whether running it can have changed role or settings of the session. Functions may do anything:
 * only plain DDL and DML are known not to. */
static bool
may_change_session(const Script *script)
{
    for (size_t i = 0; i < script->statements.n; i++) {
        const SqlStatement *s = &script->statements.p[i];
        if (s->kind == SQL_KIND_DDL)
            continue;
        Str text = statement_text(script, i);
        bool known = s->kind == SQL_KIND_DML &&
                     (str_starts(text, STR("INSERT")) || str_starts(text, STR("insert")) ||
                      str_starts(text, STR("UPDATE")) || str_starts(text, STR("update")) ||
                      str_starts(text, STR("DELETE")) || str_starts(text, STR("delete")));
        if (!known)
            return true;
    }
    return false;
}

static Str
prefix_hash(Arena *arena, const Script *script, size_t done)
{
    Hasher *hasher = hasher_new(arena);
    for (size_t i = 0; i < done; i++) {
        hasher_add(hasher, str_of(hash_text_hex(arena, statement_text(script, i))));
        hasher_add(hasher, STR(";"));
    }
    return str_of(hasher_hex(arena, hasher));
}

/* ---- composing ---- */

static void
compose(Composer *c, Str sql, size_t statement)
{
    *vec_push(c->arena, &c->pieces) = (Piece){c->text.n, statement};
    strbuf_add(&c->text, sql);
    /* A line comment at the end must not swallow the separator. */
    strbuf_puts(&c->text, "\n;\n");
}

/* Our own text may hold several statements; they carry no semicolons inside literals at line ends
 * (the driver's quoting doubles quotes, and values are versions, names, hashes), but counting them
 * is not needed: only pieces of the file are ever looked up. */
static void
compose_query(Composer *c, Db *db, DbQuery query, const DbArg *args)
{
    compose(c, db_render(db, c->arena, query, args), NONE);
}

static Str
runs_name(void)
{
    return STR("lockstep_runs");
}

static Str
fence(Arena *arena, const ApplySpec *spec)
{
    if (!spec->records || !db_has_query(spec->db, Q_RUN_STEP))
        return db_has_query(spec->db, Q_RUN_FENCE) ? STR("true") : STR("1");
    return db_render(spec->db, arena, Q_RUN_FENCE,
                     DB_ARGS(ARG_IDENT("runs", spec->runs_schema, runs_name()),
                             ARG_TEXT("run_id", str_of(spec->run_id))));
}

static Str
run_step_sql(Arena *arena, const Apply *a)
{
    const ApplySpec *spec = a->spec;
    if (!spec->records || !db_has_query(spec->db, Q_RUN_STEP))
        return STR_ABSENT;
    return db_render(spec->db, arena, Q_RUN_STEP,
                     DB_ARGS(ARG_IDENT("runs", spec->runs_schema, runs_name()),
                             ARG_TEXT("run_id", str_of(spec->run_id)),
                             ARG_INT("applied", a->applied + (int64_t)a->group.n + 1)));
}

static Str
record_sql(Apply *a, const Migration *m, int64_t duration_ms)
{
    const ApplySpec *spec = a->spec;
    if (a->down)
        return ledger_sql_reverted(a->arena, spec->db, spec->ledger, m, a->previous, spec->run_id,
                                   fence(a->arena, spec));
    return ledger_sql_applied(a->arena, spec->db, spec->ledger, m, duration_ms, spec->run_id,
                              fence(a->arena, spec));
}

/* ---- telling what went wrong ---- */

static const char taken_over[] = "this run was declared lost, and another one has taken over";

static Str
first_line(Str text)
{
    Str line = str_trim(str_sub(text, 0, str_find(text, '\n')));
    return line.n > 200 ? str_sub(line, 0, 200) : line;
}

static bool
fail_at(const Script *script, size_t statement, int64_t delta, Error *err)
{
    size_t line, column;
    if (statement == NONE && err->cls == ERROR_CLASS_NULL_VIOLATION) {
        /* The fence of ledger_sql_applied: our row of lockstep_runs is `running` no more. */
        error_clear(err);
        return error_set(err, ERROR_LOCKED, "%s", taken_over);
    }
    if (statement == NONE)
        return error_wrap(err, "recording the migration");
    size_t offset = script->statements.p[statement].offset;
    if (delta > 0)
        offset += (size_t)delta;
    script_position(script, offset, &line, &column);
    error_at(err, script->file, line, column);
    return error_detail(err, "statement: " STR_FMT,
                        STR_ARG(first_line(statement_text(script, statement))));
}

/* ---- the ends of a transaction ---- */

static void
tell_group(Apply *a)
{
    for (size_t i = 0; i < a->group.n; i++) {
        a->applied++;
        if (a->spec->hooks.applied)
            a->spec->hooks.applied(a->spec->hooks.ctx, a->group.p[i].m, a->group.p[i].duration_ms);
    }
    a->group.n = 0;
}

static bool
group_close(Apply *a, Error *err)
{
    if (!a->group_open)
        return true;
    a->group_open = false;
    FAULT_POINT("group.before-commit");
    if (!db_do(a->spec->db, Q_GROUP_COMMIT, NULL, err)) {
        a->group.n = 0;
        return error_wrap(err, "committing the migrations");
    }
    FAULT_POINT("group.after-commit");
    tell_group(a);
    return true;
}

static bool
group_open(Apply *a, Error *err)
{
    if (a->group_open && clock_ms() - a->group_since_ms > GROUP_MS && !group_close(a, err))
        return false;
    if (a->group_open)
        return true;
    if (!db_do(a->spec->db, Q_GROUP_BEGIN, NULL, err))
        return false;
    a->group_open = true;
    a->group_since_ms = clock_ms();
    return true;
}

static void
told_applied(Apply *a, const Migration *m, int64_t duration_ms)
{
    *vec_push(a->group_arena, &a->group) = (Done){m, duration_ms};
    if (!a->group_open)
        tell_group(a);
}

/* ---- whole, in one script ---- */

static void
running(const Apply *a, bool on)
{
    if (a->spec->hooks.running)
        a->spec->hooks.running(a->spec->hooks.ctx, on);
}

static bool
run_script(const Apply *a, const Script *script, const Composer *c, Error *err)
{
    size_t done = 0;
    running(a, true);
    bool ok = db_script(a->spec->db, strbuf_str(&c->text), &done, err);
    running(a, false);
    if (ok || err->cls == ERROR_CLASS_CONNECTION || err->code == ERROR_SIGNALLED)
        return ok;
    /* The server's own position is exact; else the count of finished statements tells, with every
     * piece of ours before the file being a statement of its own. */
    size_t piece = done;
    int64_t delta = 0;
    if (err->sql_offset >= 0) {
        for (piece = 0; piece + 1 < c->pieces.n; piece++) {
            if (c->pieces.p[piece + 1].offset > (size_t)err->sql_offset)
                break;
        }
        delta = err->sql_offset - (int64_t)c->pieces.p[piece].offset;
    }
    return fail_at(script, piece < c->pieces.n ? c->pieces.p[piece].statement : NONE, delta, err);
}

static const char *
ms_text(Arena *arena, int64_t ms)
{
    return str_printf(arena, "%lld", (long long)ms);
}

static bool
is_head_setting(const Script *script, size_t from, size_t i)
{
    for (size_t k = from; k <= i; k++) {
        if (!is_outside_setting(&script->statements.p[k]))
            return false;
    }
    return true;
}

static bool
compose_begin(const Apply *a, Composer *c)
{
    Db *db = a->spec->db;
    DbArg args[] = {ARG_INT("lock_timeout", a->spec->lock_timeout_ms),
                    ARG_INT("statement_timeout", a->spec->statement_timeout_ms),
                    {DB_ARG_END, NULL, {0}, {0}, 0}};
    Str begin = db_render(db, c->arena, Q_APPLY_BEGIN, args);
    /* One piece a statement, so that the count of finished ones finds the failing one. */
    for (size_t at = 0; at < begin.n;) {
        Str rest = str_sub(begin, at, begin.n);
        size_t end = str_find(rest, ';');
        Str one = str_trim(str_sub(rest, 0, end));
        if (one.n)
            compose(c, one, NONE);
        at += end + 1;
    }
    return true;
}

static bool
apply_whole_script(Apply *a, const Migration *m, const Script *script, Error *err)
{
    Db *db = a->spec->db;
    bool grouped = (db_caps(db) & DB_CAP_GROUP_COMMIT) != 0;
    bool restore = may_change_session(script);
    int64_t started = clock_ms();
    Composer c = {.arena = a->arena, .text = strbuf_new(a->arena, SCRIPT_CEILING)};
    size_t from, to;
    inner_range(script, &from, &to);

    size_t first = from;
    while (first < to && is_head_setting(script, from, first)) {
        if (!group_close(a, err) || !db_exec(db, statement_text(script, first), err))
            return err->code == ERROR_NONE ? false : fail_at(script, first, 0, err);
        first++;
    }
    if (grouped && !group_open(a, err))
        return false;
    compose_begin(a, &c);
    for (size_t i = first; i < to; i++) {
        bool quiet = script->statements.p[i].waits_quietly && db_has_query(db, Q_APPLY_QUIET);
        if (quiet)
            compose_query(&c, db, Q_APPLY_QUIET, NULL);
        compose(&c, statement_text(script, i), i);
        if (quiet)
            compose_query(&c, db, Q_APPLY_LOUD,
                          DB_ARGS(ARG_RAW("lock_timeout",
                                          str_of(ms_text(a->arena, a->spec->lock_timeout_ms)))));
    }
    if (restore && db_has_query(db, Q_APPLY_RESTORE))
        compose_query(&c, db, Q_APPLY_RESTORE, NULL);
    FAULT_POINT("migration.before-script");
    /* One round trip for all where there is a server, which can count the time itself. */
    bool server = db_has_query(db, Q_LEDGER_SINCE_BEGIN);
    int64_t duration = LEDGER_SINCE_BEGIN;
    if (!server) {
        if (!run_script(a, script, &c, err))
            return false;
        c = (Composer){.arena = a->arena, .text = strbuf_new(a->arena, SCRIPT_CEILING)};
        duration = clock_ms() - started;
    }
    Str step = run_step_sql(a->arena, a);
    if (step.p)
        compose(&c, step, NONE);
    compose(&c, record_sql(a, m, duration), NONE);
    compose_query(&c, db, Q_APPLY_COMMIT, NULL);
    if (!run_script(a, script, &c, err))
        return false;
    FAULT_POINT("migration.after-script");
    told_applied(a, m, clock_ms() - started);
    if (!restore)
        return true;
    return group_close(a, err) && db_reset(db, err);
}

/* ---- whole, statement by statement (an engine without scripts) ---- */

/* Runs our own text, which may be several statements separated by ";\n". */
static bool
exec_each(Db *db, Str sql, Error *err)
{
    while (sql.n) {
        size_t end = str_find_str(sql, STR(";\n"));
        Str one = str_trim(str_sub(sql, 0, end));
        if (one.n && !db_exec(db, one, err))
            return false;
        sql = str_sub(sql, end + 2 < sql.n ? end + 2 : sql.n, sql.n);
    }
    return true;
}

/* The step row proves, under its row lock, that we still lead. */
static bool
exec_step(const Apply *a, Error *err)
{
    Str step = run_step_sql(a->arena, a);
    if (!step.p)
        return true;
    if (!db_exec(a->spec->db, step, err))
        return false;
    if (db_changes(a->spec->db) == 0)
        return error_set(err, ERROR_LOCKED, "%s", taken_over);
    return true;
}

static bool
run_statement(const Apply *a, const Script *script, size_t i, Error *err)
{
    FAULT_POINT("statement.before");
    running(a, true);
    bool ok = db_exec(a->spec->db, statement_text(script, i), err);
    running(a, false);
    if (!ok && err->code != ERROR_SIGNALLED && err->cls != ERROR_CLASS_CONNECTION)
        return fail_at(script, i, err->sql_offset, err);
    FAULT_POINT("statement.after");
    return ok;
}

static bool
apply_whole_each(Apply *a, const Migration *m, const Script *script, Error *err)
{
    Db *db = a->spec->db;
    int64_t started = clock_ms();
    size_t from, to;
    inner_range(script, &from, &to);
    if (!db_do(db, Q_APPLY_BEGIN, NULL, err))
        return false;
    for (size_t i = from; i < to; i++) {
        if (!run_statement(a, script, i, err))
            return false;
    }
    if (!exec_step(a, err) || !exec_each(db, record_sql(a, m, clock_ms() - started), err))
        return false;
    FAULT_POINT("migration.before-commit");
    if (!db_do(db, Q_APPLY_COMMIT, NULL, err))
        return false;
    FAULT_POINT("migration.after-commit");
    told_applied(a, m, clock_ms() - started);
    return may_change_session(script) ? db_reset(db, err) : true;
}

/* ---- steps ---- */

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
           exec_step(a, err) && exec_each(db, sql, err) && db_do(db, Q_APPLY_COMMIT, NULL, err);
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
                               strbuf_str(&doubt), spec->run_id, fence(s->a->arena, spec));
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
        if (!run_statement(s->a, s->script, k, err))
            return false;
    }
    if (s->keeps_progress &&
        (!exec_step(s->a, err) || !exec_each(db, progress_sql(s, end, STR_ABSENT), err)))
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
    if (!run_statement(s->a, s->script, i, err))
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
    fail_at(s->script, done, 0, err);
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
            !db_exec(s->a->spec->db, statement_text(s->script, i), err))
            return fail_at(s->script, i, 0, err);
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
                               fence(s->a->arena, spec));
    return in_own_transaction(s->a, sql, err);
}

static bool
apply_steps(Apply *a, const Migration *m, const Script *script, const LedgerRow *row, Error *err)
{
    const ApplySpec *spec = a->spec;
    Steps s = {a, m, script, !a->down && spec->ledger->spec.own_allowed};
    int64_t started = clock_ms();
    size_t start;
    if (!group_close(a, err) || !find_start(&s, row, &start, err))
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
    if (!in_own_transaction(a, record_sql(a, m, clock_ms() - started), err))
        return false;
    FAULT_POINT("record.after");
    told_applied(a, m, clock_ms() - started);
    return true;
}

/* ---- one migration: attempts, and the record of a failure ---- */

static bool
attempt(Apply *a, const PlanItem *item, Error *err)
{
    const Script *script = a->down ? &item->m->down : &item->m->up;
    unsigned caps = db_caps(a->spec->db);
    bool resuming = !a->down && item->row && item->row->doubt;
    if (resuming || !apply_is_whole(caps, script))
        return apply_steps(a, item->m, script, item->row, err);
    if (caps & DB_CAP_SCRIPT)
        return apply_whole_script(a, item->m, script, err);
    return apply_whole_each(a, item->m, script, err);
}

static bool
is_retryable(const Apply *a, const Error *err)
{
    const ApplyHooks *h = &a->spec->hooks;
    if (err->code == ERROR_SIGNALLED || err->code == ERROR_LOCKED)
        return false;
    if (err->cls == ERROR_CLASS_CANCELLED)
        return h->cancelled && h->cancelled(h->ctx);
    return err->cls == ERROR_CLASS_LOCK_TIMEOUT || err->cls == ERROR_CLASS_DEADLOCK;
}

/* After a failure: back to a clean session, with what had been committed in a group kept. */
static bool
clean_up(Apply *a, Error *err)
{
    Db *db = a->spec->db;
    bool kept = true;
    wait_cleanup_begin(a->spec->wait);
    if (a->group_open && db_in_transaction(db)) {
        size_t done;
        kept = db_script(db, db_render(db, a->arena, Q_APPLY_ROLLBACK, NULL), &done, err);
        if (!kept)
            error_clear(err);
        kept = group_close(a, err) && kept;
    } else if (a->group_open) {
        /* The engine rolled the whole group back (disk full): its files are pending again. */
        a->group_open = false;
        a->group.n = 0;
    }
    bool ok = kept && db_alive(db) && db_reset(db, err);
    wait_cleanup_end(a->spec->wait);
    return ok;
}

static void
record_failure(Apply *a, const Migration *m)
{
    const ApplySpec *spec = a->spec;
    Error ignored = ERROR_INIT;
    if (a->down || !spec->ledger->spec.own_allowed || !db_alive(spec->db))
        return;
    wait_cleanup_begin(spec->wait);
    /* Best effort: a full disk refuses this too, and the first error is the one to tell. */
    Str sql = ledger_sql_failed(a->arena, spec->db, spec->ledger, m, spec->run_id);
    if (!exec_each(spec->db, sql, &ignored))
        error_clear(&ignored);
    wait_cleanup_end(spec->wait);
}

static void
say_what_remains(const Apply *a, const PlanItem *item, bool whole, Error *err)
{
    const ApplyHooks *h = &a->spec->hooks;
    const char *blockers = h->blockers ? h->blockers(h->ctx) : "";
    if (blockers[0] && (err->cls == ERROR_CLASS_LOCK_TIMEOUT || err->cls == ERROR_CLASS_CANCELLED))
        error_detail(err, "blocked by: %s", blockers);
    if (whole)
        error_detail(err, "rolled back: nothing of '%s' remains in the database",
                     a->down ? item->m->down.file : item->m->up.file);
    else if (!a->down)
        error_detail(err, "statements before this one stay; the next run goes on with this one");
    if (err->code != ERROR_LOCKED && err->code != ERROR_REFUSED && err->code != ERROR_SIGNALLED &&
        err->cls != ERROR_CLASS_CONNECTION)
        err->code = ERROR_FAILED;
}

static bool
apply_one(Apply *a, const PlanItem *item, Error *err)
{
    const ApplySpec *spec = a->spec;
    const Script *script = a->down ? &item->m->down : &item->m->up;
    bool whole = apply_is_whole(db_caps(spec->db), script);
    PlanItem again = *item;
    for (int tries = 0;; tries++) {
        if (attempt(a, &again, err))
            return true;
        if (err->code == ERROR_SIGNALLED || err->cls == ERROR_CLASS_CONNECTION ||
            !db_alive(spec->db)) {
            Error second = ERROR_INIT;
            if (!clean_up(a, &second))
                error_clear(&second);
            return false;
        }
        Error second = ERROR_INIT;
        bool clean = clean_up(a, &second);
        if (!clean)
            error_detail(err, "cleaning up failed too: %s", second.message);
        bool retry = clean && is_retryable(a, err);
        if (retry && tries == 0 && a->retry_until_ms == 0)
            a->retry_until_ms = clock_ms() + spec->retry_for_ms;
        int64_t delay = clock_backoff_ms(tries, RETRY_BASE_MS, RETRY_CAP_MS);
        if (!retry || clock_ms() + delay > a->retry_until_ms) {
            say_what_remains(a, item, whole, err);
            if (err->code != ERROR_LOCKED)
                record_failure(a, item->m);
            return false;
        }
        if (spec->hooks.retrying)
            spec->hooks.retrying(spec->hooks.ctx, item->m, err, delay);
        error_clear(err);
        a->saw_failure = true;
        if (!wait_sleep(spec->wait, delay, err))
            return false;
        /* Statements done in this attempt stay done: go on from what was recorded. */
        if (!whole && !a->down && spec->ledger->spec.own_allowed) {
            if (!ledger_read(a->group_arena, spec->db, spec->ledger, err))
                return false;
            again.row = NULL;
            for (size_t i = 0; i < spec->ledger->rows.n; i++) {
                const LedgerRow *row = &spec->ledger->rows.p[i];
                if (row->version && item->m->version &&
                    str_eq(str_of(row->version), str_of(item->m->version)))
                    again.row = row;
            }
        }
    }
}

static bool
apply_all(Arena *arena,
          const ApplySpec *spec,
          const PlanItem *items,
          const char *const *previous,
          size_t count,
          bool down,
          int64_t *ret_applied,
          Error *err)
{
    Apply a = {.spec = spec, .down = down, .group_arena = arena};
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        SCRATCH_ARENA(scratch);
        a.arena = scratch;
        a.previous = previous ? previous[i] : NULL;
        a.saw_failure = false;
        if (spec->hooks.started)
            spec->hooks.started(spec->hooks.ctx, items[i].m, i, count);
        FAULT_POINT("migration.before");
        ok = apply_one(&a, &items[i], err);
        FAULT_POINT("migration.after");
    }
    if (ok)
        ok = group_close(&a, err);
    *ret_applied = a.applied;
    return ok;
}

bool
apply_up(Arena *arena,
         const ApplySpec *spec,
         const PlanItem *items,
         size_t count,
         int64_t *ret_applied,
         Error *err)
{
    return apply_all(arena, spec, items, NULL, count, false, ret_applied, err);
}

bool
apply_down(Arena *arena,
           const ApplySpec *spec,
           const PlanItem *items,
           const char *const *previous,
           size_t count,
           int64_t *ret_reverted,
           Error *err)
{
    return apply_all(arena, spec, items, previous, count, true, ret_reverted, err);
}
