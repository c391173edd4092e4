/* SPDX-License-Identifier: Apache-2.0 */
/* What a deploy is made of, without a platform: orders, a container's options, a job's log. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "deploy/engine.h"
#include "deploy/job.h"
#include "deploy/options.h"
#include "deploy/order.h"
#include "deploy/remote.h"
#include "proc/proc.h"

static char path[] = "PATH=/usr/bin:/bin", kept[] = "KEPT=yes";
static char *environment[] = {path, kept, NULL};
static Arena *arena;
static Wait w;
static Error err;
static StrBuf told;

static void
tell(void *ctx, Str line)
{
    (void)ctx;
    strbuf_add(&told, line);
    strbuf_addc(&told, '\n');
}

static Orders
orders(bool dry_run)
{
    return (Orders){.arena = arena,
                    .wait = &w,
                    .environ_ = environment,
                    .dry_run = dry_run,
                    .grace_ms = 1000,
                    .tell = tell};
}

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    w = wait_init();
    told = strbuf_new(arena, 1 << 16);
    log_setup(&(LogOptions){.level = LOG_ERROR});
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* ---- orders ---- */

static void
text_is_what_a_shell_would_take(void **state)
{
    (void)state;
    Order order = order_of(arena, "docker", "run", "--label", "a b", "it's", "", "$HOME", NULL);
    order_env(arena, &order, "TOKEN", STR("hunter2hunter2"));
    Str text = order_text(arena, &order);
    assert_string_equal(text.p, "TOKEN=*** docker run --label 'a b' 'it'\\''s' '' '$HOME'");
}

static void
a_known_secret_is_no_word(void **state)
{
    (void)state;
    secret_mask_also(STR("correct-horse-battery"));
    Order order = order_of(arena, "echo", "correct-horse-battery", NULL);
    assert_string_equal(order_text(arena, &order).p, "echo ***");
}

static void
a_dry_run_starts_nothing(void **state)
{
    (void)state;
    Orders dry = orders(true);
    Order order = order_of(arena, "/nowhere/at-all", "x", NULL);
    Answer answer;
    order.pretend = "[{}]";
    assert_true(order_run(&dry, &order, &answer, &err));
    assert_int_equal(answer.status, 0);
    assert_string_equal(answer.out.p, "[{}]");
    assert_string_equal(told.p, "/nowhere/at-all x\n");
}

static void
answers(void **state)
{
    (void)state;
    Orders real = orders(false);
    Answer answer;
    Order order =
        order_of(arena, "sh", "-c", "cat; echo $VALUE-$KEPT; echo oops >&2; exit 7", NULL);
    order_env(arena, &order, "VALUE", STR("two\nlines"));
    order.input = STR("input\n");
    order.may_fail = true;
    assert_true(order_run(&real, &order, &answer, &err));
    assert_int_equal(answer.status, 7);
    assert_string_equal(str_dup(arena, answer.out), "input\ntwo lines-yes");
    assert_string_equal(str_dup(arena, answer.said), "oops");
}

static void
failures(void **state)
{
    (void)state;
    Orders real = orders(false);
    Order fails = order_of(arena, "sh", "-c", "echo why >&2; exit 3", NULL);
    assert_false(order_run(&real, &fails, NULL, &err));
    assert_string_equal(err.message, "`sh` failed with status 3");
    assert_non_null(strstr(err.detail, "why"));
    err = ERROR_INIT;
    Order absent = order_of(arena, "no-such-program-here", NULL);
    assert_false(order_run(&real, &absent, NULL, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    err = ERROR_INIT;
    Order slow = order_of(arena, "sleep", "60", NULL);
    slow.limit_ms = 50;
    assert_false(order_run(&real, &slow, NULL, &err));
    assert_int_equal(err.cls, ERROR_CLASS_TIMEOUT);
    assert_string_equal(err.message, "`sleep` did not end in time");
}

/* ---- options ---- */

static char *
joined(const Words *words)
{
    StrBuf out = strbuf_new(arena, 1 << 16);
    for (size_t i = 0; i < words->n; i++)
        strbuf_printf(&out, "%s%s", i ? " " : "", words->p[i]);
    strbuf_puts(&out, "");
    return out.p;
}

static json_t *
parsed(const char *text)
{
    json_t *json = NULL;
    assert_true(values_read(str_of(text), "test", &json, &err));
    return json;
}

static void
a_container_is_repeated(void **state)
{
    (void)state;
    AUTO_JSON *image = parsed("{\"Config\": {\"Env\": [\"PATH=/bin\"], \"Cmd\": [\"serve\"],"
                              "  \"Labels\": {\"from\": \"image\"}, \"User\": \"app\"}}");
    AUTO_JSON *container = parsed(
        "{\"Id\": \"abc123\", \"Config\": {\"Env\": [\"PATH=/bin\", \"URL=postgres://u:p@h/d\"],"
        " \"Cmd\": [\"serve\"], \"Labels\": {\"from\": \"image\", \"team\": \"blue\","
        " \"lockstep_deploy\": \"x\"}, \"User\": \"app\"},"
        " \"HostConfig\": {\"Binds\": [\"data:/data\"], \"NetworkMode\": \"inner\","
        " \"RestartPolicy\": {\"Name\": \"on-failure\", \"MaximumRetryCount\": 3},"
        " \"PortBindings\": {\"80/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"8080\"}]},"
        " \"Links\": [\"/db:/web/postgres\"], \"NanoCpus\": 1500000000, \"ReadonlyRootfs\": true,"
        " \"ShmSize\": 67108864},"
        " \"Mounts\": [{\"Type\": \"volume\", \"Name\": \"data\", \"Destination\": \"/data\"},"
        "  {\"Type\": \"volume\", \"Name\": \"cafe\", \"Destination\": \"/cache\", \"RW\": true}],"
        " \"NetworkSettings\": {\"Networks\": {\"inner\": {\"Aliases\": [\"shop\", \"abc123\"]},"
        "  \"outer\": {}}}}");
    EngineOptions options;
    assert_true(options_of_container(arena, container, image, &options, &err));
    assert_string_equal(
        joined(&options.words),
        "--volume data:/data --read-only --publish 8080:80/tcp --network inner --network-alias "
        "shop "
        "--link db:postgres --mount type=volume,source=cafe,target=/cache "
        "--restart on-failure:3 --cpus 1.500000000");
    assert_string_equal(joined(&options.env), "URL=postgres://u:p@h/d");
    assert_string_equal(joined(&options.labels), "team=blue");
    assert_string_equal(joined(&options.networks), "outer");
    assert_int_equal(options.program.n, 0);
    assert_true(options.binds_host);
    assert_string_equal(
        joined(&(Words){.p = engine_job_options(arena, options.words.p).p,
                        .n = engine_job_options(arena, options.words.p).n}),
        "--volume data:/data --read-only --network inner --link db:postgres --mount "
        "type=volume,source=cafe,target=/cache");
}

/* What podman 4.3 says of one; its own additions are not repeated. */
static void
a_container_of_podman_is_repeated(void **state)
{
    (void)state;
    AUTO_JSON *image = parsed("{\"Config\": {\"Entrypoint\": [\"lockstep\", \"run\", \"--\"],"
                              " \"Cmd\": [\"serve\"]}}");
    AUTO_JSON *container = parsed(
        "{\"Id\": \"abc\", \"Config\": {\"Env\": [\"TERM=xterm\", \"container=podman\", \"A=b\","
        " \"HOME=/root\", \"HOSTNAME=abc\"], \"Cmd\": [\"serve\"], \"WorkingDir\": \"/\","
        " \"Entrypoint\": \"lockstep run --\", \"StopSignal\": 15, \"Labels\": null},"
        " \"HostConfig\": {\"Runtime\": \"oci\", \"NetworkMode\": \"bridge\", \"Links\": null,"
        " \"Ulimits\": [{\"Name\": \"RLIMIT_NOFILE\", \"Soft\": 1, \"Hard\": 2}]},"
        " \"NetworkSettings\": {\"Networks\": {\"podman\": {}}}}");
    EngineOptions options;
    assert_true(options_of_container(arena, container, image, &options, &err));
    assert_string_equal(joined(&options.words), "--ulimit nofile=1:2 --network bridge");
    assert_string_equal(joined(&options.env), "A=b");
    assert_int_equal(options.program.n + options.networks.n, 0);
}

static void
another_program_is_repeated(void **state)
{
    (void)state;
    AUTO_JSON *image = parsed("{\"Config\": {\"Entrypoint\": [\"/start\"], \"Cmd\": [\"web\"]}}");
    AUTO_JSON *container = parsed("{\"Config\": {\"Entrypoint\": [\"sh\", \"-c\"],"
                                  " \"Cmd\": [\"exec worker\"]}, \"HostConfig\": {}}");
    EngineOptions options;
    assert_true(options_of_container(arena, container, image, &options, &err));
    assert_string_equal(joined(&options.words), "--entrypoint sh");
    assert_string_equal(joined(&options.program), "-c exec worker");
    assert_false(options.binds_host);
}

static void
words_of_somebody(void **state)
{
    (void)state;
    static const struct {
        const char *words[6];
        bool binds;
        const char *job;
    } cases[] = {
        {{"--publish", "80:80", "--env", "A"}, true, "--env A"},
        {{"-p80:80", "-v", "a:/a"}, true, "-v a:/a"},
        {{"--network", "host"}, true, "--network host"},
        {{"--net=host"}, true, "--net=host"},
        {{"--name=x", "--restart", "always", "--env", "A"}, false, "--env A"},
        {{"--network", "inner", "--memory=64m"}, false, "--network inner"},
        {{"--label", "a=b", "-lc", "--label-file=x", "-v"}, false, "-v"},
        {{"--env", "A=1", "--env=B=2", "-eC=3", "-v"}, false, "-v"},
        {{"-e", "D=x=y", "-e", "NAME", "--env"}, false, "-e NAME --env"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        EngineOptions options;
        char *words[6] = {0};
        for (size_t k = 0; k < 5 && cases[i].words[k]; k++)
            words[k] = str_dup(arena, str_of(cases[i].words[k]));
        options_of_words(arena, words, &options);
        Words job = engine_job_options(arena, options.words.p);
        assert_int_equal(options.binds_host, cases[i].binds);
        assert_string_equal(joined(&job), cases[i].job);
        assert_int_equal(options.env.n, i + 2 == COUNT_OF(cases) ? 3 : i + 1 == COUNT_OF(cases));
    }
}

/* ---- a job's log ---- */

static void
a_log_is_understood(void **state)
{
    (void)state;
    JobReport report = {0};
    static const char *const lines[] = {
        "starting",
        "{\"level\": \"info\", \"event\": \"migration.started\", \"run_id\": \"r1\", \"message\": "
        "\"Migration started\"}",
        "{\"level\": \"info\", \"event\": \"migration.applied\", \"version\": \"7\", \"message\": "
        "\"Migration applied: 7\"}",
        "{\"level\": \"error\", \"event\": \"migration.failed\", \"message\": \"Migration failed: "
        "8\"}",
        "{\"no\": \"event\"}",
        "",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        job_line(arena, &report, str_of(lines[i]));
    assert_true(report.spoke);
    assert_int_equal(report.applied, 1);
    assert_string_equal(report.version, "7");
    assert_string_equal(report.run_id, "r1");
    assert_string_equal(report.error, "Migration failed: 8");
    report.status = 6;
    assert_false(job_failed(&report, "the migration", &err));
    assert_int_equal(err.code, ERROR_REFUSED);
}

/* Dokku runs the release task with the app's own settings, which nobody asked for JSON. */
static void
a_log_of_text_is_understood(void **state)
{
    (void)state;
    JobReport report = {0};
    static const char *const lines[] = {
        "lockstep: Migration started: 2 to 3 on sqlite:app.db (run r2)",
        "lockstep: Migration applied: 002 email (3 ms)",
        "lockstep: Migration applied: 0003_tool",
        "  hint: nothing of ours",
        "lockstep: Migration failed: 004 has no table",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        job_line(arena, &report, str_of(lines[i]));
    assert_true(report.spoke);
    assert_int_equal(report.applied, 2);
    assert_string_equal(report.version, "0003_tool");
    assert_string_equal(report.run_id, "r2");
    assert_string_equal(report.error, "004 has no table");
}

static void
what_was_no_log_is_the_reason(void **state)
{
    (void)state;
    JobReport report = {.status = 127};
    job_line(arena, &report, STR("exec: lockstep: not found"));
    assert_false(report.spoke);
    assert_false(job_failed(&report, "the migration", &err));
    assert_int_equal(err.code, ERROR_FAILED);
    assert_non_null(strstr(err.message, "not found"));
}

/* ---- another machine ---- */

static void
accounts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *account, *port;
    } cases[] = {
        {"dokku@h.example", "dokku@h.example", NULL},
        {"h.example", "dokku@h.example", NULL},
        {"h.example:2222", "dokku@h.example", "2222"},
        {"ssh://ci@h.example:2222/", "ci@h.example", "2222"},
        {"ci@[::1]:22", "ci@::1", "22"},
        {"[::1]", "dokku@::1", NULL},
    };
    static const char *const wrong[] = {"",         "@h",    "u@",        "u@-h",  "-u@h",
                                        "u@h:",     "u@h:0", "u@h:70000", "u@h:x", "u@[::1",
                                        "u@[::1]2", "u@h;x", "u@h x",     "ssh://"};
    Remote remote;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(remote_read(arena, cases[i].text, "dokku", &remote, &err));
        assert_string_equal(remote.account, cases[i].account);
        assert_string_equal(remote.port ? remote.port : "", cases[i].port ? cases[i].port : "");
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        error_clear(&err);
        assert_false(remote_read(arena, wrong[i], "dokku", &remote, &err));
        assert_int_equal(err.code, ERROR_USAGE);
    }
    assert_true(remote_is_plain("registry.example:5000/a/b@sha256:0f"));
    assert_false(remote_is_plain("a b"));
    assert_false(remote_is_plain("a*"));
    assert_false(remote_is_plain("$(x)"));
    assert_false(remote_is_plain(""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_is_what_a_shell_would_take, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_known_secret_is_no_word, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dry_run_starts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_container_is_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_container_of_podman_is_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_program_is_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(words_of_somebody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_is_understood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_of_text_is_understood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_no_log_is_the_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accounts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
