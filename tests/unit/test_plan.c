/* SPDX-License-Identifier: Apache-2.0 */
/* Files against rows, with both made by hand. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/plan.h"

#include "core/banned.h"

typedef struct Bench {
    Arena *arena;
    Source source;
    Ledger ledger;
    Plan plan;
    PlanPolicy policy;
    Error err;
} Bench;

static int
setup(void **state)
{
    Arena *arena = arena_new();
    Bench *b = arena_make(arena, Bench);
    b->arena = arena;
    *state = b;
    return 0;
}

static int
teardown(void **state)
{
    Bench *b = *state;
    arena_free(b->arena);
    return 0;
}

static void
begin(Bench *b, FormatId format)
{
    Arena *arena = b->arena;
    *b = (Bench){.arena = arena, .err = ERROR_INIT};
    b->source = (Source){.format = format,
                         .format_name = format_name(format),
                         .dir = str_dup(arena, STR("db")),
                         .files = 0};
    b->ledger.spec.format = format;
    b->ledger.table = STR("version_table");
    b->ledger.high_water = format == FORMAT_GOLANG_MIGRATE || format == FORMAT_TERN;
}

static Migration *
file(Bench *b, const char *version)
{
    Migration *m = vec_push(b->arena, &b->source.migrations);
    char *id = format_version_id(b->arena, b->source.format, version);
    char *path = str_printf(b->arena, "%s_x.sql", version);
    *m = (Migration){.version = str_dup(b->arena, str_of(version)),
                     .name = str_dup(b->arena, STR("x")),
                     .path = path,
                     .id = id,
                     .key = b->source.format == FORMAT_DBMATE ? path : id,
                     .has_up = true};
    b->source.files = 1;
    return m;
}

static Migration *
repeatable(Bench *b, const char *name, const char *checksum)
{
    Migration *m = vec_push(b->arena, &b->source.migrations);
    char *id = format_repeatable_id(b->arena, name);
    *m = (Migration){.name = str_dup(b->arena, str_of(name)),
                     .path = str_printf(b->arena, "R__%s.sql", name),
                     .id = id,
                     .key = id,
                     .repeatable = true,
                     .has_up = true,
                     .tool_checksum = str_dup(b->arena, str_of(checksum))};
    b->source.files = 1;
    return m;
}

static LedgerRow *
row(Bench *b, const char *version)
{
    LedgerRow *r = vec_push(b->arena, &b->ledger.rows);
    *r = (LedgerRow){.version = str_dup(b->arena, str_of(version)),
                     .name = str_dup(b->arena, STR("x")),
                     .duration_ms = -1,
                     .foreign_row = true};
    return r;
}

/* golang-migrate and tern: the one row. */
static LedgerRow *
current(Bench *b, const char *version, bool dirty)
{
    LedgerRow *r = row(b, version);
    b->ledger.current = r->version;
    b->ledger.current_dirty = dirty;
    r->state = dirty ? ROW_FAILED : ROW_APPLIED;
    return r;
}

static void
files(Bench *b, const char *const *versions)
{
    for (; *versions; versions++)
        file(b, *versions);
}

static void
rows(Bench *b, const char *const *versions)
{
    for (; *versions; versions++)
        row(b, *versions);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
build(Bench *b)
{
    plan_build(b->arena, &b->source, &b->ledger, true, &b->plan);
}

static void
allowed(Bench *b)
{
    b->err = ERROR_INIT;
    if (!plan_allows(&b->plan, &b->source, &b->ledger, &b->policy, &b->err))
        fail_msg("%s", b->err.message);
}

static void
refused_as(Bench *b, ErrorCode code, const char *word)
{
    b->err = ERROR_INIT;
    assert_false(plan_allows(&b->plan, &b->source, &b->ledger, &b->policy, &b->err));
    assert_int_equal(b->err.code, code);
    if (!strstr(b->err.message, word))
        fail_msg("'%s' not in '%s'", word, b->err.message);
    assert_true(b->err.hint[0]);
}

static void
refused(Bench *b, const char *word)
{
    refused_as(b, ERROR_REFUSED, word);
}

/* ---- states ---- */

static void
states(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    build(b);
    assert_int_equal(b->plan.state, PLAN_NONE);
    allowed(b);
    files(b, LIST("1", "2"));
    build(b);
    assert_int_equal(b->plan.state, PLAN_EMPTY);
    assert_int_equal(b->plan.pending.n, 2);
    row(b, "01"); /* the same version, written otherwise */
    build(b);
    assert_int_equal(b->plan.state, PLAN_PENDING);
    assert_int_equal(b->plan.applied.n, 1);
    assert_string_equal(b->plan.pending.p[0].m->version, "2");
    row(b, "2");
    build(b);
    assert_int_equal(b->plan.state, PLAN_CURRENT);
    row(b, "3");
    build(b);
    assert_int_equal(b->plan.state, PLAN_AHEAD);
    assert_int_equal(b->plan.ahead.n, 1);
    allowed(b);
    b->policy.ahead_refuse = true;
    refused(b, "'3'");
    assert_string_equal(plan_state_name(PLAN_AHEAD), "ahead");
    assert_string_equal(plan_state_name(PLAN_NONE), "none");
}

static void
missing_is_not_ahead(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    files(b, LIST("1", "3"));
    rows(b, LIST("1", "2", "3"));
    build(b);
    assert_int_equal(b->plan.state, PLAN_CURRENT);
    assert_int_equal(b->plan.missing.n, 1);
    assert_int_equal(b->plan.ahead.n, 0);
    allowed(b);
    b->policy.ahead_refuse = true;
    refused(b, "'2'");
}

static void
order(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    files(b, LIST("1", "2", "3", "4"));
    rows(b, LIST("1", "3"));
    build(b);
    assert_int_equal(b->plan.pending.n, 2);
    assert_int_equal(b->plan.out_of_order.n, 1);
    refused(b, "2_x.sql");
    assert_non_null(strstr(b->err.hint, "--order any"));
    b->policy.order_any = true;
    allowed(b);
    /* Something pending below what an unknown, newer image applied. */
    begin(b, FORMAT_PLAIN);
    files(b, LIST("1", "2"));
    rows(b, LIST("1", "9"));
    build(b);
    assert_int_equal(b->plan.state, PLAN_PENDING);
    assert_int_equal(b->plan.ahead.n, 1);
    refused(b, "2_x.sql");
}

static void
dbmate_order_is_by_name(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_DBMATE);
    files(b, LIST("10", "2"));
    row(b, "10");
    build(b);
    assert_int_equal(b->plan.out_of_order.n, 0);
    assert_string_equal(b->plan.pending.p[0].m->version, "2");
    begin(b, FORMAT_DBMATE);
    files(b, LIST("10", "2"));
    row(b, "2");
    build(b);
    assert_int_equal(b->plan.out_of_order.n, 1);
    row(b, "3");
    build(b);
    assert_int_equal(b->plan.ahead.n, 1);
    row(b, "11");
    build(b);
    assert_int_equal(b->plan.missing.n, 1);
}

static void
empty_directory(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    rows(b, LIST("1", "2"));
    build(b);
    assert_int_equal(b->plan.state, PLAN_NONE);
    assert_int_equal(b->plan.missing.n, 2);
    refused_as(b, ERROR_USAGE, "empty");
    b->source.dir = NULL;
    allowed(b);
}

/* ---- content ---- */

static void
changed_files(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    Migration *m = file(b, "1");
    m->checksum = str_dup(b->arena, STR("aaa"));
    LedgerRow *r = row(b, "1");
    build(b);
    assert_int_equal(b->plan.changed.n, 0); /* nothing known */
    r->checksum = str_dup(b->arena, STR("aaa"));
    build(b);
    assert_int_equal(b->plan.changed.n, 0);
    r->checksum = str_dup(b->arena, STR("bbb"));
    build(b);
    assert_int_equal(b->plan.changed.n, 1);
    assert_int_equal(b->plan.state, PLAN_CURRENT);
    refused(b, "1_x.sql");
    assert_non_null(strstr(b->err.hint, "repair"));
    plan_build(b->arena, &b->source, &b->ledger, false, &b->plan);
    assert_int_equal(b->plan.changed.n, 0);
}

static void
tool_checksums(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_SQLX);
    Migration *m = file(b, "1");
    m->tool_checksum = str_dup(b->arena, STR("raw"));
    m->tool_checksum_also[0] = str_dup(b->arena, STR("lf"));
    m->tool_checksum_also[1] = str_dup(b->arena, STR("crlf"));
    LedgerRow *r = row(b, "1");
    static const char *const same[] = {"raw", "lf", "crlf"};
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        r->tool_checksum = str_dup(b->arena, str_of(same[i]));
        build(b);
        assert_int_equal(b->plan.changed.n, 0);
    }
    r->tool_checksum = str_dup(b->arena, STR("other"));
    build(b);
    assert_int_equal(b->plan.changed.n, 1);
    /* The tool's rule may differ where ours knows the very file. */
    m->checksum = r->checksum = str_dup(b->arena, STR("own"));
    build(b);
    assert_int_equal(b->plan.changed.n, 0);
}

/* ---- failed ---- */

static void
own_failure_is_resumed(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    files(b, LIST("1", "2", "3"));
    row(b, "1");
    LedgerRow *r = row(b, "2");
    r->state = ROW_FAILED;
    r->own_row = true;
    r->statements_done = 4;
    row(b, "3");
    build(b);
    assert_int_equal(b->plan.state, PLAN_FAILED);
    assert_string_equal(b->plan.failed_m->version, "2");
    assert_string_equal(b->plan.failed->previous, "1");
    assert_int_equal(b->plan.pending.n, 1);
    assert_non_null(b->plan.pending.p[0].row);
    assert_int_equal(b->plan.out_of_order.n, 0); /* it had begun */
    allowed(b);
    b->source.migrations.p[1] = b->source.migrations.p[2];
    b->source.migrations.n = 2;
    build(b);
    refused(b, "version 2");
}

static void
two_unfinished_are_taken_in_order(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    files(b, LIST("1", "2", "3"));
    LedgerRow *r = row(b, "3");
    r->state = ROW_RUNNING;
    r->own_row = true;
    r = row(b, "1");
    r->state = ROW_FAILED;
    r->own_row = true;
    build(b);
    assert_int_equal(b->plan.pending.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(b->plan.pending.p[i].m, &b->source.migrations.p[i]);
}

static void
foreign_failure_is_refused(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_GOLANG_MIGRATE);
    files(b, LIST("4", "5", "6"));
    current(b, "5", true);
    build(b);
    assert_int_equal(b->plan.state, PLAN_FAILED);
    assert_int_equal(b->plan.applied.n, 1);
    refused(b, "version 5");
    assert_non_null(strstr(b->err.hint, "repair"));
    assert_string_equal(b->plan.failed->previous, "4");
    /* Ours stands behind it: resumed. */
    b->ledger.rows.p[0].own_row = true;
    build(b);
    allowed(b);
    assert_int_equal(b->plan.pending.n, 2);
    assert_string_equal(b->plan.pending.p[0].m->version, "5");
    begin(b, FORMAT_FLYWAY);
    files(b, LIST("1", "2"));
    row(b, "1")->state = ROW_FAILED;
    build(b);
    refused(b, "version 1");
    begin(b, FORMAT_GOLANG_MIGRATE);
    file(b, "1");
    row(b, "-1")->state = ROW_FAILED; /* failed on the way to none */
    b->ledger.current_dirty = true;
    build(b);
    refused(b, "dirty");
}

/* ---- high-water marks ---- */

static void
golang_migrate_mark(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_GOLANG_MIGRATE);
    files(b, LIST("1", "2", "3", "5", "10"));
    current(b, "5", false);
    build(b);
    assert_int_equal(b->plan.applied.n, 4);
    for (size_t i = 0; i < b->plan.applied.n; i++)
        assert_non_null(b->plan.applied.p[i].row);
    assert_int_equal(b->plan.pending.n, 1);
    assert_string_equal(b->plan.pending.p[0].m->version, "10");
    /* The table alone does not tell which of them were there when it reached 5. */
    assert_int_equal(b->plan.never_run.n, 3);
    assert_string_equal(b->plan.never_run.p[0].m->version, "1");
    assert_string_equal(b->plan.never_run.p[2].m->version, "3");
    allowed(b);
    /* With rows of ours it does: the original skips a late file 3 in silence, here it is refused.
     */
    const char *const kept[] = {"1", "2"};
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        LedgerRow *own = row(b, kept[i]);
        own->own_row = true;
        own->foreign_row = false;
    }
    build(b);
    assert_int_equal(b->plan.never_run.n, 0);
    assert_int_equal(b->plan.pending.n, 2);
    assert_string_equal(b->plan.pending.p[0].m->version, "3");
    refused(b, "3");
    b->policy.order_any = true;
    allowed(b);
}

static void
golang_migrate_needs_its_file(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_GOLANG_MIGRATE);
    files(b, LIST("4", "6"));
    current(b, "5", false);
    build(b);
    refused(b, "'5'");
    begin(b, FORMAT_GOLANG_MIGRATE);
    files(b, LIST("3", "4"));
    current(b, "5", false);
    build(b);
    assert_int_equal(b->plan.state, PLAN_AHEAD);
    allowed(b);
}

static void
tern_mark(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_TERN);
    files(b, LIST("1", "2", "3"));
    current(b, "2", false);
    build(b);
    assert_int_equal(b->plan.applied.n, 2);
    assert_int_equal(b->plan.pending.n, 1);
    assert_int_equal(b->plan.never_run.n, 0);
    LedgerRow *own = row(b, "3");
    own->state = ROW_RUNNING;
    own->own_row = true;
    build(b);
    assert_int_equal(b->plan.state, PLAN_FAILED);
    assert_int_equal(b->plan.pending.n, 1);
    allowed(b);
}

/* ---- flyway ---- */

static void
flyway_repeatables(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_FLYWAY);
    file(b, "1");
    Migration *m = repeatable(b, "views", "7");
    row(b, "1");
    build(b);
    assert_int_equal(b->plan.pending.n, 1);
    LedgerRow *r = row(b, NULL);
    r->name = str_dup(b->arena, STR("views"));
    r->tool_checksum = str_dup(b->arena, STR("7"));
    build(b);
    assert_int_equal(b->plan.state, PLAN_CURRENT);
    r->tool_checksum = str_dup(b->arena, STR("8"));
    build(b);
    assert_int_equal(b->plan.pending.n, 1);
    assert_int_equal(b->plan.changed.n, 0);
    assert_int_equal(b->plan.out_of_order.n, 0);
    m->tool_checksum_also[0] = r->tool_checksum;
    build(b);
    assert_int_equal(b->plan.state, PLAN_CURRENT);
    r->tool_checksum = NULL; /* Flyway compares nothing then */
    build(b);
    assert_int_equal(b->plan.state, PLAN_CURRENT);
}

static void
flyway_baseline(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_FLYWAY);
    files(b, LIST("1", "1.5", "2", "3"));
    b->ledger.baseline = str_dup(b->arena, STR("2.0"));
    build(b);
    assert_int_equal(b->plan.pending.n, 1);
    assert_string_equal(b->plan.pending.p[0].m->version, "3");
    assert_int_equal(b->plan.state, PLAN_PENDING);
    assert_int_equal(b->plan.applied.n, 0);
}

/* ---- rollback ---- */

static void
drizzle_order_is_the_journals(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_DRIZZLE);
    files(b, LIST("10", "30", "20"));
    for (size_t i = 0; i < 3; i++)
        b->source.migrations.p[i].key = str_printf(b->arena, "%06zu", i);
    build(b);
    assert_int_equal(b->plan.pending.n, 3);
    assert_string_equal(b->plan.pending.p[1].m->version, "30");
    allowed(b);
    /* What Drizzle would skip for ever is told. */
    rows(b, LIST("10", "30"));
    build(b);
    assert_int_equal(b->plan.out_of_order.n, 1);
    refused(b, "20_x.sql");
    b->policy.order_any = true;
    allowed(b);
    b->policy.order_any = false;
    rows(b, LIST("40"));
    build(b);
    assert_int_equal(b->plan.ahead.n, 1);
    assert_int_equal(b->plan.missing.n, 0);
    rows(b, LIST("15"));
    build(b);
    assert_int_equal(b->plan.missing.n, 1);
}

static void
prisma_checksums(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PRISMA);
    file(b, "1_a")->tool_checksum = str_dup(b->arena, STR("0a10ff00"));
    LedgerRow *r = row(b, "1_a");
    static const struct {
        const char *sum;
        bool same;
    } cases[] = {{"0a10ff00", true}, {"a10ff0", true}, {"a10ff", false},
                 {"a10ff01", false}, {"", false},      {"0a10ff0", false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        r->tool_checksum = str_dup(b->arena, str_of(cases[i].sum));
        build(b);
        assert_int_equal(b->plan.changed.n, !cases[i].same);
    }
}

static void
rollback(void **state)
{
    Bench *b = *state;
    PlanItems items;
    begin(b, FORMAT_PLAIN);
    files(b, LIST("1", "2", "10"));
    rows(b, LIST("1", "2", "10"));
    build(b);
    assert_true(plan_rollback(b->arena, &b->plan, 1, NULL, &items, &b->err));
    assert_int_equal(items.n, 1);
    assert_string_equal(items.p[0].m->version, "10");
    assert_true(plan_rollback(b->arena, &b->plan, 1, "01", &items, &b->err));
    assert_int_equal(items.n, 2);
    assert_string_equal(items.p[1].m->version, "2");
    assert_true(plan_rollback(b->arena, &b->plan, 1, "0", &items, &b->err));
    assert_int_equal(items.n, 3);
    assert_true(plan_rollback(b->arena, &b->plan, 99, NULL, &items, &b->err));
    assert_int_equal(items.n, 3);
    assert_true(plan_rollback(b->arena, &b->plan, 1, "10", &items, &b->err));
    assert_int_equal(items.n, 0);
    assert_false(plan_rollback(b->arena, &b->plan, 1, "7", &items, &b->err));
    assert_int_equal(b->err.code, ERROR_USAGE);
    b->err = ERROR_INIT;
    assert_false(plan_rollback(b->arena, &b->plan, 0, NULL, &items, &b->err));
    assert_int_equal(b->err.code, ERROR_USAGE);
    row(b, "11");
    build(b);
    b->err = ERROR_INIT;
    assert_false(plan_rollback(b->arena, &b->plan, 1, NULL, &items, &b->err));
    assert_int_equal(b->err.code, ERROR_REFUSED);
    assert_non_null(strstr(b->err.message, "11"));
}

static void
long_lists_are_cut(void **state)
{
    Bench *b = *state;
    begin(b, FORMAT_PLAIN);
    for (int i = 1; i <= 40; i++)
        file(b, str_printf(b->arena, "%d", i));
    row(b, "41");
    build(b);
    refused(b, "and 35 more");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(states),
        TEST(missing_is_not_ahead),
        TEST(order),
        TEST(dbmate_order_is_by_name),
        TEST(empty_directory),
        TEST(changed_files),
        TEST(tool_checksums),
        TEST(own_failure_is_resumed),
        TEST(two_unfinished_are_taken_in_order),
        TEST(foreign_failure_is_refused),
        TEST(golang_migrate_mark),
        TEST(golang_migrate_needs_its_file),
        TEST(tern_mark),
        TEST(flyway_repeatables),
        TEST(flyway_baseline),
        TEST(drizzle_order_is_the_journals),
        TEST(prisma_checksums),
        TEST(rollback),
        TEST(long_lists_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
