/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files against rows. Both are matched by identity (format_version_id), ordered by key; nothing is
 * read or run here.
 */

#include "migrate/plan.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/formats.h"

#include "core/banned.h"

enum { NAMES_MAX = 5 }; /* named in a message before "and N more" */

typedef struct Builder {
    Arena *arena;
    Source *source;
    const Ledger *ledger;
    bool check_content;
    Plan *plan;
    Migration **by_id; /* the files, sorted by identity */
    char **row_ids;
    size_t *row_order; /* rows, sorted by identity */
    char *current_id, *baseline_id;
    const char *highest_key; /* of the files; NULL = none */
} Builder;

/* What a row's id is compared with. dbmate's keys are file names: they begin with the version,
 * which is enough. Drizzle's are places in the journal, which no row knows. */
static const char *
beside_rows(const Builder *b, const Migration *m)
{
    return b->plan->format == FORMAT_DRIZZLE ? m->id : m->key;
}

/* ---- finding ---- */

static int
by_id_cmp(const void *a, const void *b)
{
    const Migration *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static int
row_order_cmp(const void *a, const void *b, void *ctx)
{
    char *const *ids = ctx;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return strcmp(ids[x], ids[y]);
}

static void
index_rows(Builder *b)
{
    const Ledger *l = b->ledger;
    size_t n = l->rows.n;
    b->row_ids = arena_array(b->arena, char *, n + 1);
    b->row_order = arena_array(b->arena, size_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        const LedgerRow *row = &l->rows.p[i];
        b->row_order[i] = i;
        b->row_ids[i] = row->id        ? row->id
                        : row->version ? format_version_id(b->arena, b->plan->format, row->version)
                                       : format_repeatable_id(b->arena, row->name);
    }
    qsort_r(b->row_order, n, sizeof(size_t), row_order_cmp, b->row_ids);
}

static void
index_files(Builder *b)
{
    Source *s = b->source;
    size_t n = s->migrations.n;
    b->by_id = arena_array(b->arena, Migration *, n + 1);
    for (size_t i = 0; i < n; i++) {
        Migration *m = &s->migrations.p[i];
        b->by_id[i] = m;
        const char *key = beside_rows(b, m);
        if (!m->repeatable && (!b->highest_key || strcmp(key, b->highest_key) > 0))
            b->highest_key = key;
    }
    qsort(b->by_id, n, sizeof(*b->by_id), by_id_cmp);
}

static const LedgerRow *
find_row(const Builder *b, const char *id)
{
    size_t from = 0, to = b->ledger->rows.n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int cmp = strcmp(b->row_ids[b->row_order[mid]], id);
        if (cmp == 0)
            return &b->ledger->rows.p[b->row_order[mid]];
        if (cmp < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

static Migration *
find_file(const Builder *b, const char *id)
{
    size_t from = 0, to = b->source->migrations.n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int cmp = strcmp(b->by_id[mid]->id, id);
        if (cmp == 0)
            return b->by_id[mid];
        if (cmp < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

/* ---- one file ---- */

static bool
same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Old versions of Prisma wrote their hex without the zeros that begin a byte
 * (prisma-engines#1887). */
static bool
same_unpadded(const char *stored, const char *hex)
{
    size_t n = stored ? strlen(stored) : 0;
    if (!hex || n >= strlen(hex))
        return false;
    for (; hex[0] && hex[1]; hex += 2) {
        if (hex[0] != '0' && *stored++ != hex[0])
            return false;
        if (*stored++ != hex[1])
            return false;
    }
    return *stored == '\0';
}

static bool
tool_accepts(FormatId format, const Migration *m, const LedgerRow *row)
{
    const char *const sums[] = {m->tool_checksum, m->tool_checksum_also[0],
                                m->tool_checksum_also[1]};
    bool ok = false;
    for (size_t i = 0; i < COUNT_OF(sums); i++)
        ok |= same(row->tool_checksum, sums[i]) ||
              (format == FORMAT_PRISMA && same_unpadded(row->tool_checksum, sums[i]));
    return ok;
}

/* One checksum that agrees is enough: the tool's may follow another rule of normalising, ours may
 * be older than the tool's own repair. */
static bool
is_changed(FormatId format, const Migration *m, const LedgerRow *row)
{
    bool own = row->checksum && m->checksum;
    bool tool = row->tool_checksum && m->tool_checksum;
    if ((own && same(row->checksum, m->checksum)) || (tool && tool_accepts(format, m, row)))
        return false;
    return own || tool;
}

/* Below a high-water mark there may be no row: one is made, so that callers need not ask. */
static const LedgerRow *
implied_row(const Builder *b, const Migration *m)
{
    LedgerRow *row = arena_make(b->arena, LedgerRow);
    *row = (LedgerRow){.version = m->version,
                       .id = m->id,
                       .name = m->name,
                       .state = ROW_APPLIED,
                       .duration_ms = -1};
    return row;
}

static void
add_applied(Builder *b, Migration *m, const LedgerRow *row)
{
    PlanItem item = {m, row};
    *vec_push(b->arena, &b->plan->applied) = item;
    if (b->check_content && !m->repeatable && is_changed(b->plan->format, m, row))
        *vec_push(b->arena, &b->plan->changed) = item;
}

static void
add_pending(Builder *b, Migration *m, const LedgerRow *row)
{
    *vec_push(b->arena, &b->plan->pending) = (PlanItem){m, row};
}

static void
sort_repeatable(Builder *b, Migration *m, const LedgerRow *row)
{
    bool known = m->tool_checksum && row && row->tool_checksum;
    if (row && row->state == ROW_APPLIED && (!known || tool_accepts(b->plan->format, m, row)))
        add_applied(b, m, row);
    else
        add_pending(b, m, NULL);
}

/* Rows of our own stand beside the other tool's one mark: since we took over, or adopted it. */
static bool
keeps_rows(const Ledger *l)
{
    for (size_t i = 0; i < l->rows.n; i++) {
        if (l->rows.p[i].own_row && l->rows.p[i].state == ROW_APPLIED)
            return true;
    }
    return false;
}

static void
sort_file(Builder *b, Migration *m)
{
    const Ledger *l = b->ledger;
    const LedgerRow *row = find_row(b, m->id);
    if (row && row->state != ROW_APPLIED) {
        if (m != b->plan->failed_m) /* that one stands first already */
            add_pending(b, m, row);
        return;
    }
    if (m->repeatable) {
        sort_repeatable(b, m, row);
        return;
    }
    if (l->high_water && b->current_id) {
        int cmp = strcmp(m->id, b->current_id);
        if (cmp > 0) {
            add_pending(b, m, NULL);
            return;
        }
        bool untold = !row && cmp < 0 && b->plan->format == FORMAT_GOLANG_MIGRATE;
        if (untold && keeps_rows(l)) {
            add_pending(b, m, NULL); /* every other one has a row of ours: this file came late */
            return;
        }
        if (untold)
            *vec_push(b->arena, &b->plan->never_run) = (PlanItem){m, NULL};
        add_applied(b, m, row ? row : implied_row(b, m));
        return;
    }
    if (row)
        add_applied(b, m, row);
    else if (!b->baseline_id || strcmp(m->id, b->baseline_id) > 0)
        add_pending(b, m, NULL);
}

/* ---- the whole ---- */

static const char *
version_below(const Builder *b, const char *id)
{
    const char *below = NULL, *best = NULL;
    for (size_t i = 0; i < b->source->migrations.n; i++) {
        const Migration *m = &b->source->migrations.p[i];
        if (!m->repeatable && strcmp(m->id, id) < 0 && (!best || strcmp(m->id, best) > 0)) {
            best = m->id;
            below = m->version;
        }
    }
    return below;
}

/* The lowest row that is not applied; before all others one that we cannot resume. */
static void
find_failed(Builder *b)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < b->ledger->rows.n; i++) {
        size_t at = b->row_order[i];
        const LedgerRow *row = &b->ledger->rows.p[at];
        if (row->state != ROW_APPLIED &&
            (found == SIZE_MAX || (b->ledger->rows.p[found].own_row && !row->own_row)))
            found = at;
    }
    if (found == SIZE_MAX)
        return;
    LedgerRow *row = arena_make(b->arena, LedgerRow);
    *row = b->ledger->rows.p[found];
    row->id = b->row_ids[found];
    row->previous = str_dup(b->arena, str_of(version_below(b, row->id)));
    b->plan->failed = row;
    b->plan->failed_m = find_file(b, row->id);
    if (b->plan->failed_m)
        add_pending(b, b->plan->failed_m, row);
}

/* Rows whose file is not here. */
static void
sort_rows(Builder *b)
{
    for (size_t i = 0; i < b->ledger->rows.n; i++) {
        size_t at = b->row_order[i];
        const LedgerRow *row = &b->ledger->rows.p[at];
        if (row->state != ROW_APPLIED || find_file(b, b->row_ids[at]))
            continue;
        bool ahead = row->version && b->highest_key && strcmp(b->row_ids[at], b->highest_key) > 0;
        if (ahead)
            *vec_push(b->arena, &b->plan->ahead) = (PlanItem){NULL, row};
        else
            *vec_push(b->arena, &b->plan->missing) = (PlanItem){NULL, row};
    }
}

/* Pending versions below one that is applied. What had begun already is not late. */
static void
find_out_of_order(Builder *b)
{
    const char *highest = NULL, *highest_row = NULL;
    for (size_t i = 0; i < b->plan->applied.n; i++) {
        const Migration *m = b->plan->applied.p[i].m;
        if (!m->repeatable && (!highest || strcmp(m->key, highest) > 0))
            highest = m->key;
    }
    for (size_t i = 0; i < b->ledger->rows.n; i++) {
        const LedgerRow *row = &b->ledger->rows.p[i];
        /* Drizzle skips for ever what is older by `when` than the newest row, wherever the journal
         * has it: that must be said. */
        bool counts = b->plan->format == FORMAT_DRIZZLE || !find_file(b, b->row_ids[i]);
        if (row->version && row->state == ROW_APPLIED && counts &&
            (!highest_row || strcmp(b->row_ids[i], highest_row) > 0))
            highest_row = b->row_ids[i];
    }
    for (size_t i = 0; i < b->plan->pending.n; i++) {
        PlanItem *item = &b->plan->pending.p[i];
        bool late = (highest && strcmp(item->m->key, highest) < 0) ||
                    (highest_row && strcmp(beside_rows(b, item->m), highest_row) < 0);
        if (late && !item->row && !item->m->repeatable)
            *vec_push(b->arena, &b->plan->out_of_order) = *item;
    }
}

static PlanState
state_of(const Builder *b)
{
    const Plan *p = b->plan;
    if (p->failed)
        return PLAN_FAILED;
    if (p->pending.n > 0)
        return b->ledger->rows.n == 0 && !b->ledger->baseline ? PLAN_EMPTY : PLAN_PENDING;
    if (p->ahead.n > 0)
        return PLAN_AHEAD;
    return b->source->migrations.n == 0 ? PLAN_NONE : PLAN_CURRENT;
}

void
plan_build(Arena *arena, Source *source, const Ledger *ledger, bool check_content, Plan *ret)
{
    Plan plan = {.format = source->format};
    Builder b = {.arena = arena,
                 .source = source,
                 .ledger = ledger,
                 .check_content = check_content,
                 .plan = &plan};
    if (ledger->current)
        b.current_id = format_version_id(arena, source->format, ledger->current);
    if (ledger->baseline)
        b.baseline_id = format_version_id(arena, source->format, ledger->baseline);
    index_files(&b);
    index_rows(&b);
    find_failed(&b);
    for (size_t i = 0; i < source->migrations.n; i++)
        sort_file(&b, &source->migrations.p[i]);
    sort_rows(&b);
    find_out_of_order(&b);
    plan.state = state_of(&b);
    *ret = plan;
}

/* ---- what is allowed ---- */

static const char *
item_name(const PlanItem *item)
{
    if (item->m)
        return item->m->path;
    return item->row->version ? item->row->version : item->row->name;
}

/* "'a', 'b' and 3 more" */
static void
list_names(char *out, size_t size, const PlanItem *items, size_t n)
{
    SCRATCH_ARENA(scratch);
    StrBuf b = strbuf_new(scratch, 64 * 1024);
    for (size_t i = 0; i < n && i < NAMES_MAX; i++)
        strbuf_printf(&b, "%s'%s'", i ? ", " : "", item_name(&items[i]));
    if (n > NAMES_MAX)
        strbuf_printf(&b, " and %zu more", n - NAMES_MAX);
    Str text = str_sub(strbuf_str(&b), 0, size - 1);
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}

static bool
refuse_failed(const Plan *plan, const Ledger *ledger, Error *err)
{
    const LedgerRow *row = plan->failed;
    const char *version = row->version ? row->version : row->name;
    if (row->own_row && plan->failed_m)
        return true; /* resumed where it stopped */
    if (row->own_row) {
        error_set(err, ERROR_REFUSED,
                  "version %s failed after %d statements, and its file is not in this directory",
                  version, row->statements_done);
        return error_hint(err, "Put the file back (the image that began it has it), so that the "
                               "rest can be applied, or see 'lockstep repair'.");
    }
    error_set(err, ERROR_REFUSED, "%s left version %s %s in '" STR_FMT "'",
              format_name(plan->format), version, ledger->high_water ? "dirty" : "marked as failed",
              STR_ARG(ledger->table));
    return error_hint(err,
                      "Look at what it did to the schema, then run 'lockstep repair'; lockstep "
                      "did not run it, and cannot tell how far it came.");
}

static bool
refuse_changed(const Plan *plan, Error *err)
{
    char names[600];
    list_names(names, sizeof(names), plan->changed.p, plan->changed.n);
    error_set(err, ERROR_REFUSED, "applied, and changed since: %s", names);
    return error_hint(err, "Restore the file as it was applied and put the change into a new "
                           "migration; or accept it as it is now with 'lockstep repair'.");
}

static bool
refuse_missing(const Plan *plan, const char *why, Error *err)
{
    char names[600];
    list_names(names, sizeof(names), plan->missing.p, plan->missing.n);
    error_set(err, ERROR_REFUSED, "applied, but without a file in this directory: %s", names);
    return error_hint(err, "Put the files back%s.", why);
}

static bool
refuse_out_of_order(const Plan *plan, Error *err)
{
    char names[600];
    list_names(names, sizeof(names), plan->out_of_order.p, plan->out_of_order.n);
    error_set(err, ERROR_REFUSED, "pending, but older than what is applied already: %s", names);
    return error_hint(err, "Give it a version above the highest, or allow it once with --order any "
                           "when the order does not matter.");
}

bool
plan_allows(const Plan *plan,
            const Source *source,
            const Ledger *ledger,
            const PlanPolicy *policy,
            Error *err)
{
    bool history = ledger->rows.n > 0;
    if (source->dir && !source->files && history) {
        error_set(err, ERROR_USAGE,
                  "the directory '%s' is empty, but the database knows %zu applied migrations",
                  source->dir, ledger->rows.n);
        return error_hint(err, "Check --dir, and whether the image was built with its migrations.");
    }
    if (plan->failed && !refuse_failed(plan, ledger, err))
        return false;
    if (plan->changed.n > 0)
        return refuse_changed(plan, err);
    if (plan->missing.n > 0 && policy->ahead_refuse)
        return refuse_missing(plan, ", or use --ahead allow", err);
    /* golang-migrate stands on its one version: without that file it cannot tell where it is. */
    if (plan->missing.n > 0 && plan->format == FORMAT_GOLANG_MIGRATE && ledger->current) {
        for (size_t i = 0; i < plan->missing.n; i++) {
            if (same(plan->missing.p[i].row->version, ledger->current))
                return refuse_missing(plan, ": golang-migrate's table says that it stands there",
                                      err);
        }
    }
    if (plan->ahead.n > 0 && policy->ahead_refuse) {
        char names[600];
        list_names(names, sizeof(names), plan->ahead.p, plan->ahead.n);
        error_set(err, ERROR_REFUSED, "the database is ahead of this image: it has %s", names);
        return error_hint(err, "Deploy an image that knows these versions, or use --ahead allow.");
    }
    if (plan->out_of_order.n > 0 && !policy->order_any)
        return refuse_out_of_order(plan, err);
    return true;
}

const char *
plan_state_name(PlanState state)
{
    static const char *const names[] = {
        [PLAN_NONE] = "none",       [PLAN_EMPTY] = "empty", [PLAN_PENDING] = "pending",
        [PLAN_CURRENT] = "current", [PLAN_AHEAD] = "ahead", [PLAN_FAILED] = "failed",
    };
    return names[state];
}

/* ---- rollback ---- */

typedef struct Undo {
    PlanItem item;
    const char *key, *id;
} Undo;
typedef VEC(Undo) UndoList;

static int
undo_cmp(const void *a, const void *b)
{
    const Undo *x = a, *y = b;
    return strcmp(y->key, x->key);
}

static void
add_undo(Arena *arena, const Plan *plan, const PlanItem *item, UndoList *list)
{
    if (item->m ? item->m->repeatable : !item->row->version)
        return;
    Undo undo = {.item = *item};
    undo.id = item->m ? item->m->id : format_version_id(arena, plan->format, item->row->version);
    undo.key = item->m ? item->m->key : undo.id;
    *vec_push(arena, list) = undo;
}

bool
plan_rollback(
    Arena *arena, const Plan *plan, int64_t steps, const char *to, PlanItems *ret, Error *err)
{
    UndoList list = {0};
    for (size_t i = 0; i < plan->applied.n; i++)
        add_undo(arena, plan, &plan->applied.p[i], &list);
    for (size_t i = 0; i < plan->missing.n; i++)
        add_undo(arena, plan, &plan->missing.p[i], &list);
    for (size_t i = 0; i < plan->ahead.n; i++)
        add_undo(arena, plan, &plan->ahead.p[i], &list);
    if (list.n > 1)
        qsort(list.p, list.n, sizeof(*list.p), undo_cmp);
    size_t count = list.n;
    if (to && strcmp(to, "0") != 0) {
        const char *id = format_version_id(arena, plan->format, to);
        for (count = 0; count < list.n && strcmp(list.p[count].id, id) != 0;)
            count++;
        if (count == list.n) {
            error_set(err, ERROR_USAGE, "version '%s' is not applied", to);
            return error_hint(err,
                              "See 'lockstep status' for the versions that are; 0 undoes all.");
        }
    } else if (!to) {
        if (steps < 1) {
            error_set(err, ERROR_USAGE, "cannot go back %lld steps", (long long)steps);
            return error_hint(err, "--steps is 1 or more.");
        }
        count = steps < (int64_t)count ? (size_t)steps : count;
    }
    PlanItems items = {0};
    for (size_t i = 0; i < count; i++) {
        if (!list.p[i].item.m) {
            error_set(err, ERROR_REFUSED,
                      "version %s is applied, but this directory has no file "
                      "that could undo it",
                      list.p[i].item.row->version);
            return error_hint(err, "Roll back with the image that has it.");
        }
        *vec_push(arena, &items) = list.p[i].item;
    }
    *ret = items;
    return true;
}
