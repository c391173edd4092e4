/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of things around one migration. Invariants:
 *  - a version row is committed with the migration's effect, or after a mark that names the one
 *    statement that may be in doubt;
 *  - every transaction that records something also touches our row of lockstep_runs, so that a run
 *    that was declared lost can commit nothing more (see run_step in run.sql);
 *  - `applied` is told only after the commit.
 */

#include "migrate/apply_internal.h"

#include "core/clock.h"
#include "core/fault.h"
#include "core/banned.h"

enum {
    SCRIPT_CEILING = 512 * 1024 * 1024,
    RETRY_BASE_MS = 500,
    RETRY_CAP_MS = 30000,
    /* SQLite: commit a group after this long; a crash loses no more than this much work, never
     * half a file. */
    GROUP_MS = 500,
};

/* One piece of a composed script: which statement of the file it is, or APPLY_OURS. */
typedef struct Piece {
    size_t offset, statement;
} Piece;

typedef struct Composer {
    Arena *arena;
    StrBuf text;
    VEC(Piece) pieces;
} Composer;

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

static bool
unbalanced(const Script *script, size_t statement, const char *what, Error *err)
{
    error_set(err, ERROR_USAGE, "%s", what);
    apply_fail_at(script, statement, 0, err);
    return error_hint(err,
                      "Take it out (each migration is a transaction of its own), or write both "
                      "BEGIN and COMMIT.");
}

bool
apply_check(const Script *script, Error *err)
{
    size_t begun = APPLY_OURS;
    for (size_t i = 0; i < script->statements.n; i++) {
        SqlKind kind = script->statements.p[i].kind;
        bool ends = kind == SQL_KIND_COMMIT || kind == SQL_KIND_ROLLBACK;
        if (kind == SQL_KIND_BEGIN && begun != APPLY_OURS)
            return unbalanced(script, i, "BEGIN inside a transaction", err);
        if (ends && begun == APPLY_OURS)
            return unbalanced(script, i, "the end of a transaction that the file did not begin",
                              err);
        if (kind == SQL_KIND_BEGIN)
            begun = i;
        else if (ends)
            begun = APPLY_OURS;
    }
    return begun == APPLY_OURS ||
           unbalanced(script, begun, "a transaction that the file does not end", err);
}

Str
apply_statement_text(const Script *script, size_t i)
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
        Str text = apply_statement_text(script, i);
        bool known = s->kind == SQL_KIND_DML &&
                     (str_starts(text, STR("INSERT")) || str_starts(text, STR("insert")) ||
                      str_starts(text, STR("UPDATE")) || str_starts(text, STR("update")) ||
                      str_starts(text, STR("DELETE")) || str_starts(text, STR("delete")));
        if (!known)
            return true;
    }
    return false;
}

/* ---- composing ---- */

/* A line comment at the end would swallow the separator. */
static bool
ends_in_comment(Str sql)
{
    size_t line = sql.n;
    while (line > 0 && sql.p[line - 1] != '\n')
        line--;
    Str last = str_sub(sql, line, sql.n);
    return str_find_str(last, STR("--")) < last.n;
}

static void
compose(Composer *c, Str sql, size_t statement)
{
    *vec_push(c->arena, &c->pieces) = (Piece){c->text.n, statement};
    strbuf_add(&c->text, sql);
    /* Else directly: SQLite keeps a blank before the semicolon in the text of an index. */
    strbuf_puts(&c->text, ends_in_comment(sql) ? "\n;\n" : ";\n");
}

/* Our own text may hold several statements; they carry no semicolons inside literals at line ends
 * (the driver's quoting doubles quotes, and values are versions, names, hashes), but counting them
 * is not needed: only pieces of the file are ever looked up. */
static void
compose_query(Composer *c, Db *db, DbQuery query, const DbArg *args)
{
    compose(c, db_render(db, c->arena, query, args), APPLY_OURS);
}

static Str
runs_name(void)
{
    return STR("lockstep_runs");
}

Str
apply_fence(Arena *arena, const ApplySpec *spec)
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

Str
apply_record_sql(Apply *a, const Migration *m, int64_t duration_ms)
{
    const ApplySpec *spec = a->spec;
    if (a->down)
        return ledger_sql_reverted(a->arena, spec->db, spec->ledger, m, a->previous, spec->run_id,
                                   apply_fence(a->arena, spec));
    return ledger_sql_applied(a->arena, spec->db, spec->ledger, m, duration_ms, spec->run_id,
                              apply_fence(a->arena, spec));
}

/* ---- telling what went wrong ---- */

static const char taken_over[] = "this run was declared lost, and another one has taken over";

static Str
first_line(Str text)
{
    Str line = str_trim(str_sub(text, 0, str_find(text, '\n')));
    return line.n > 200 ? str_sub(line, 0, 200) : line;
}

bool
apply_fail_at(const Script *script, size_t statement, int64_t delta, Error *err)
{
    size_t line, column;
    if (statement == APPLY_OURS && err->cls == ERROR_CLASS_NULL_VIOLATION) {
        /* The fence of ledger_sql_applied: our row of lockstep_runs is `running` no more. */
        error_clear(err);
        return error_set(err, ERROR_LOCKED, "%s", taken_over);
    }
    if (statement == APPLY_OURS)
        return error_wrap(err, "recording the migration");
    size_t offset = script->statements.p[statement].offset;
    if (delta > 0)
        offset += (size_t)delta;
    script_position(script, offset, &line, &column);
    error_at(err, script->file, line, column);
    return error_detail(err, "statement: " STR_FMT,
                        STR_ARG(first_line(apply_statement_text(script, statement))));
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

bool
apply_group_close(Apply *a, Error *err)
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
    if (a->group_open && clock_ms() - a->group_since_ms > GROUP_MS && !apply_group_close(a, err))
        return false;
    if (a->group_open)
        return true;
    if (!db_do(a->spec->db, Q_GROUP_BEGIN, NULL, err))
        return false;
    a->group_open = true;
    a->group_since_ms = clock_ms();
    return true;
}

void
apply_told(Apply *a, const Migration *m, int64_t duration_ms)
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
    return apply_fail_at(script, piece < c->pieces.n ? c->pieces.p[piece].statement : APPLY_OURS,
                         delta, err);
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

/* One piece a statement, so that the count of finished ones finds the failing one. */
static void
compose_list(Composer *c, Str list)
{
    for (size_t at = 0; at < list.n;) {
        Str rest = str_sub(list, at, list.n);
        size_t end = str_find(rest, ';');
        Str one = str_trim(str_sub(rest, 0, end));
        if (one.n)
            compose(c, one, APPLY_OURS);
        at += end + 1;
    }
}

static void
compose_begin(const Apply *a, Composer *c)
{
    compose_list(c,
                 db_render(a->spec->db, c->arena, Q_APPLY_BEGIN,
                           DB_ARGS(ARG_INT("lock_timeout", a->spec->lock_timeout_ms),
                                   ARG_INT("statement_timeout", a->spec->statement_timeout_ms))));
}

/* Whatever the migration made of its session: our record is written as we connected. */
static void
compose_restore(const Apply *a, Composer *c)
{
    if (db_has_query(a->spec->db, Q_APPLY_RESTORE))
        compose_list(c, db_render(a->spec->db, c->arena, Q_APPLY_RESTORE,
                                  DB_ARGS(ARG_INT("lock_timeout", a->spec->lock_timeout_ms))));
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
        if (!apply_group_close(a, err) || !db_exec(db, apply_statement_text(script, first), err))
            return err->code == ERROR_NONE ? false : apply_fail_at(script, first, 0, err);
        first++;
    }
    if (grouped && !group_open(a, err))
        return false;
    compose_begin(a, &c);
    for (size_t i = first; i < to; i++) {
        bool quiet = script->statements.p[i].waits_quietly && db_has_query(db, Q_APPLY_QUIET);
        if (quiet)
            compose_query(&c, db, Q_APPLY_QUIET, NULL);
        compose(&c, apply_statement_text(script, i), i);
        if (quiet)
            compose_query(&c, db, Q_APPLY_LOUD,
                          DB_ARGS(ARG_RAW("lock_timeout",
                                          str_of(ms_text(a->arena, a->spec->lock_timeout_ms)))));
    }
    if (restore)
        compose_restore(a, &c);
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
        compose(&c, step, APPLY_OURS);
    compose(&c, apply_record_sql(a, m, duration), APPLY_OURS);
    compose_query(&c, db, Q_APPLY_COMMIT, NULL);
    if (!run_script(a, script, &c, err))
        return false;
    FAULT_POINT("migration.after-script");
    apply_told(a, m, clock_ms() - started);
    if (!restore)
        return true;
    return apply_group_close(a, err) && db_reset(db, err);
}

/* ---- whole, statement by statement (an engine without scripts) ---- */

/* The step row proves, under its row lock, that we still lead. */
bool
apply_step(const Apply *a, Error *err)
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

bool
apply_statement(const Apply *a, const Script *script, size_t i, Error *err)
{
    FAULT_POINT("statement.before");
    running(a, true);
    bool ok = db_exec(a->spec->db, apply_statement_text(script, i), err);
    running(a, false);
    if (!ok && err->code != ERROR_SIGNALLED && err->cls != ERROR_CLASS_CONNECTION)
        return apply_fail_at(script, i, err->sql_offset, err);
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
        if (!apply_statement(a, script, i, err))
            return false;
    }
    if (!apply_step(a, err) || !db_exec_list(db, apply_record_sql(a, m, clock_ms() - started), err))
        return false;
    FAULT_POINT("migration.before-commit");
    if (!db_do(db, Q_APPLY_COMMIT, NULL, err))
        return false;
    FAULT_POINT("migration.after-commit");
    apply_told(a, m, clock_ms() - started);
    return may_change_session(script) ? db_reset(db, err) : true;
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
        kept = apply_group_close(a, err) && kept;
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
    if (!db_exec_list(spec->db, sql, &ignored))
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
                if (row->version && row->id && str_eq(str_of(row->id), str_of(item->m->id)))
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
        ok = apply_group_close(&a, err);
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
