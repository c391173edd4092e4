/* SPDX-License-Identifier: Apache-2.0 */
/* A service's specification as the words of a job, and how variables are handed to docker. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/fs.h"
#include "deploy/swarm.h"

static Arena *arena;
static Wait w;
static Error err;
static char *environment[] = {NULL};

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    w = wait_init();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static char *
joined(const Words *words)
{
    StrBuf out = strbuf_new(arena, 1 << 16);
    for (size_t i = 0; i < words->n; i++)
        strbuf_printf(&out, "%s%s", i ? " " : "", words->p[i]);
    return str_dup(arena, strbuf_str(&out));
}

static void
a_service_as_words(void **state)
{
    (void)state;
    static const char text[] =
        "{'TaskTemplate': {'ContainerSpec': {'Image': 'web:1', 'User': '65532', 'Dir': '/app',"
        " 'Env': ['A=1', 'B=two\\nlines', 'NOT A PAIR'], 'ReadOnly': true,"
        " 'Hosts': ['10.0.0.7 db.example'], 'CapabilityDrop': ['CAP_CHOWN'],"
        " 'DNSConfig': {'Nameservers': ['10.0.0.2']}, 'Sysctls': {'net.core.somaxconn': '9'},"
        " 'Mounts': [{'Type': 'volume', 'Source': 'data', 'Target': '/data', 'ReadOnly': true,"
        "  'VolumeOptions': {'DriverConfig': {'Name': 'local', 'Options': {'o': 'addr=x,rw'}}}},"
        "  {'Type': 'tmpfs', 'Target': '/tmp', 'TmpfsOptions': {'SizeBytes': 1024}}],"
        " 'Secrets': [{'SecretName': 's', 'File': {'Name': 'url', 'UID': '0', 'GID': '0',"
        "  'Mode': 292}}], 'Configs': [{'ConfigName': 'only-a-credential', 'Runtime': {}}]},"
        " 'Networks': [{'Target': 'n1'}], 'Placement': {'Constraints': ['node.role == worker']}},"
        " 'EndpointSpec': {'Ports': [{'PublishedPort': 80}]}, 'Mode': {'Replicated': {}}}";
    Words options = {0}, env = {0};
    AUTO_JSON *spec = NULL;
    char *json = str_dup(arena, str_of(text));
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    assert_true(values_read(str_of(json), "test", &spec, &err));
    swarm_spec_options(arena, spec, &options, &env);
    assert_string_equal(
        joined(&options),
        "--dns 10.0.0.2 --cap-drop CAP_CHOWN --constraint node.role == worker --user 65532 "
        "--workdir /app --read-only "
        "--mount type=volume,source=data,target=/data,readonly=true,volume-driver=local,"
        "\"volume-opt=o=addr=x,rw\" --mount type=tmpfs,target=/tmp,tmpfs-size=1024 "
        "--secret source=s,target=url,uid=0,gid=0,mode=0444 --network n1 "
        "--host db.example:10.0.0.7 --sysctl net.core.somaxconn=9");
    assert_int_equal(env.n, 2);
    assert_string_equal(env.p[0], "A=1");
    assert_string_equal(env.p[1], "B=two\nlines");
}

static void
variables_are_handed(void **state)
{
    (void)state;
    Orders orders = {.arena = arena, .wait = &w, .environ_ = environment};
    Order order = order_of(arena, "docker", NULL);
    Words pairs = {0};
    Str text;
    *vec_push(arena, &pairs) = str_dup(arena, STR("A=two\nlines"));
    *vec_push(arena, &pairs) = str_dup(arena, STR("DOCKER_HOST=tcp://nowhere"));
    *vec_push(arena, &pairs) = str_dup(arena, STR("https_proxy=\"quoted\" and more"));
    assert_true(order_hand(&orders, &order, &pairs, &err));
    assert_int_equal(order.argv.n, 5);
    assert_string_equal(order.argv.p[1], "--env");
    assert_string_equal(order.argv.p[2], "A");
    assert_int_equal(order.env.n, 1);
    assert_string_equal(order.env.p[0], "A=two\nlines");
    assert_string_equal(order.argv.p[3], "--env-file");
    assert_true(fs_read(arena, order.argv.p[4], 4096, &text, &err));
    assert_string_equal(text.p, "DOCKER_HOST=tcp://nowhere\nhttps_proxy=\"quoted\" and more\n");

    Words lines = {0};
    *vec_push(arena, &lines) = str_dup(arena, STR("PATH=/bin\n/sbin"));
    assert_false(order_hand(&orders, &order, &lines, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, "'PATH' has several lines"));
}

static void
answers_have_lines(void **state)
{
    (void)state;
    Words lines = answer_lines(arena, STR("one\r\n\n  two words \nthree"));
    assert_int_equal(lines.n, 3);
    assert_string_equal(lines.p[0], "one");
    assert_string_equal(lines.p[1], "two words");
    assert_string_equal(lines.p[2], "three");
    assert_int_equal(answer_lines(arena, STR("")).n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_service_as_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(variables_are_handed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_have_lines, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
