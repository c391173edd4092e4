/* SPDX-License-Identifier: Apache-2.0 */
/* A service's specification as the words that would make a job like it. */

#include "deploy/swarm.h"

#include "deploy/options.h"
#include "core/banned.h"

enum { WORD_MAX = 65536 };

static void
add(Arena *arena, Words *words, const char *flag, Str value)
{
    *vec_push(arena, words) = str_dup(arena, str_of(flag));
    *vec_push(arena, words) = str_dup(arena, value);
}

/* Lists of texts that have an option of their own. */
static const struct {
    const char *path, *flag;
} lists[] = {
    {"ContainerSpec.Groups", "--group"},
    {"ContainerSpec.DNSConfig.Nameservers", "--dns"},
    {"ContainerSpec.DNSConfig.Search", "--dns-search"},
    {"ContainerSpec.DNSConfig.Options", "--dns-option"},
    {"ContainerSpec.CapabilityAdd", "--cap-add"},
    {"ContainerSpec.CapabilityDrop", "--cap-drop"},
    {"Placement.Constraints", "--constraint"},
};

static const struct {
    const char *path, *flag;
} texts[] = {
    {"ContainerSpec.User", "--user"},
    {"ContainerSpec.Dir", "--workdir"},
    {"ContainerSpec.Isolation", "--isolation"},
};

/* A field of comma separated values, quoted where it holds a comma or quote. */
static void
add_field(StrBuf *out, const char *name, Str value)
{
    if (!value.n)
        return;
    bool quoted = str_find(value, ',') < value.n || str_find(value, '"') < value.n;
    strbuf_printf(out, "%s%s%s=", out->n ? "," : "", quoted ? "\"" : "", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"')
            strbuf_addc(out, '"');
        strbuf_addc(out, value.p[i]);
    }
    if (quoted)
        strbuf_addc(out, '"');
}

static void
add_mount(Arena *arena, Words *words, const json_t *mount)
{
    StrBuf out = strbuf_new(arena, WORD_MAX);
    json_t *options = value_at(mount, "VolumeOptions.DriverConfig.Options"), *value;
    const char *name;
    int64_t size = value_number(mount, "TmpfsOptions.SizeBytes");
    add_field(&out, "type", value_text(mount, "Type"));
    add_field(&out, "source", value_text(mount, "Source"));
    add_field(&out, "target", value_text(mount, "Target"));
    if (value_true(mount, "ReadOnly"))
        add_field(&out, "readonly", STR("true"));
    add_field(&out, "bind-propagation", value_text(mount, "BindOptions.Propagation"));
    add_field(&out, "volume-driver", value_text(mount, "VolumeOptions.DriverConfig.Name"));
    json_object_foreach(options, name, value)
    {
        const char *text = json_string_value(value);
        add_field(&out, "volume-opt", str_of(str_printf(arena, "%s=%s", name, text ? text : "")));
    }
    if (size)
        add_field(&out, "tmpfs-size", str_of(str_printf(arena, "%lld", (long long)size)));
    add(arena, words, "--mount", strbuf_str(&out));
}

/* Secrets and configs: the same shape under two names. */
static void
add_file(Arena *arena, Words *words, const json_t *file, const char *kind)
{
    bool secret = str_eq(str_of(kind), STR("Secret"));
    StrBuf out = strbuf_new(arena, WORD_MAX);
    if (!value_at(file, "File")) /* a config that is only a credential specification */
        return;
    add_field(&out, "source", value_text(file, str_printf(arena, "%sName", kind)));
    add_field(&out, "target", value_text(file, "File.Name"));
    add_field(&out, "uid", value_text(file, "File.UID"));
    add_field(&out, "gid", value_text(file, "File.GID"));
    add_field(
        &out, "mode",
        str_of(str_printf(arena, "0%llo", (unsigned long long)value_number(file, "File.Mode"))));
    add(arena, words, secret ? "--secret" : "--config", strbuf_str(&out));
}

static void
add_others(Arena *arena, const json_t *task, Words *words)
{
    const json_t *one, *value;
    size_t i;
    const char *name;
    json_array_foreach(value_at(task, "ContainerSpec.Mounts"), i, one) add_mount(arena, words, one);
    json_array_foreach(value_at(task, "ContainerSpec.Secrets"), i, one)
        add_file(arena, words, one, "Secret");
    json_array_foreach(value_at(task, "ContainerSpec.Configs"), i, one)
        add_file(arena, words, one, "Config");
    json_array_foreach(value_at(task, "Networks"), i, one)
        add(arena, words, "--network", value_text(one, "Target"));
    json_array_foreach(value_at(task, "ContainerSpec.Hosts"), i, one)
    {
        /* As in a file of hosts; the option wants it the other way round. */
        Str host = {json_string_value(one), json_string_length(one)};
        size_t blank = str_find(host, ' ');
        add(arena, words, "--host",
            str_of(str_printf(arena, STR_FMT ":" STR_FMT,
                              STR_ARG(str_trim(str_sub(host, blank, host.n))),
                              STR_ARG(str_sub(host, 0, blank)))));
    }
    json_object_foreach(value_at(task, "ContainerSpec.Sysctls"), name, value)
        add(arena, words, "--sysctl",
            str_of(str_printf(arena, "%s=%s", name,
                              json_string_value(value) ? json_string_value(value) : "")));
}

void
swarm_spec_options(Arena *arena, const json_t *spec, Words *ret_options, Words *ret_env)
{
    const json_t *task = value_at(spec, "TaskTemplate"), *one;
    size_t k;
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        json_array_foreach(value_at(task, lists[i].path), k, one)
            add(arena, ret_options, lists[i].flag, str_of(json_string_value(one)));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        Str text = value_text(task, texts[i].path);
        if (text.n)
            add(arena, ret_options, texts[i].flag, text);
    }
    if (value_true(task, "ContainerSpec.ReadOnly"))
        *vec_push(arena, ret_options) = str_dup(arena, STR("--read-only"));
    if (value_true(task, "ContainerSpec.Init"))
        *vec_push(arena, ret_options) = str_dup(arena, STR("--init"));
    add_others(arena, task, ret_options);
    options_env(arena, value_at(task, "ContainerSpec.Env"), NULL, ret_env);
}
