/* SPDX-License-Identifier: Apache-2.0 */
/* A container's configuration as the words that would make it again. */

#include "deploy/options.h"

#include <ctype.h>
#include <string.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/secret.h"
#include "core/banned.h"

enum {
    SECRET_VALUE = 6,   /* shorter ones (a port, `true`) would be masked in every line */
    LABEL_MOST = 65000, /* docker reads no longer line */
};

static void
add(Arena *arena, EngineOptions *o, const char *flag, Str value)
{
    *vec_push(arena, &o->words) = str_dup(arena, str_of(flag));
    if (value.p)
        *vec_push(arena, &o->words) = str_dup(arena, value);
}

static void
add_env(Arena *arena, Str pair, Words *ret)
{
    Str value = str_sub(pair, str_find(pair, '=') + 1, pair.n);
    if (value.n >= SECRET_VALUE)
        secret_mask_also(value);
    *vec_push(arena, ret) = str_dup(arena, pair);
}

/* `--env NAME=VALUE`, or another flag of pairs, in all its spellings: the value must not stand
 * among words. How many words it was; 0 = it is none, or a name alone, whose value docker takes
 * from our environment. */
static size_t
take_pair(char *const *words, const char *longer, const char *shorter, const char **ret)
{
    size_t n = strlen(longer);
    bool apart = strcmp(words[0], longer) == 0 || strcmp(words[0], shorter) == 0;
    const char *pair = apart                                                      ? words[1]
                       : strncmp(words[0], longer, n) == 0 && words[0][n] == '='  ? words[0] + n + 1
                       : strncmp(words[0], shorter, 2) == 0 && words[0][2] == '=' ? words[0] + 3
                       : strncmp(words[0], shorter, 2) == 0                       ? words[0] + 2
                                                                                  : NULL;
    if (!pair || !strchr(pair, '='))
        return 0;
    *ret = pair;
    return apart ? 2 : 1;
}

void
options_of_words(Arena *arena, char *const *words, EngineOptions *ret)
{
    static const char *const host[] = {"--publish", "--publish-all", "--network=host",
                                       "--net=host"};
    *ret = (EngineOptions){0};
    for (size_t i = 0, taken; words[i]; i++) {
        const char *word = words[i], *pair;
        if ((taken = take_pair(&words[i], "--env", "-e", &pair)) > 0)
            add_env(arena, str_of(pair), &ret->env);
        else if ((taken = take_pair(&words[i], "--label", "-l", &pair)) > 0)
            *vec_push(arena, &ret->labels) = str_dup(arena, str_of(pair));
        if (taken) {
            i += taken - 1;
            continue;
        }
        add(arena, ret, word, STR_ABSENT);
        for (size_t k = 0; k < COUNT_OF(host); k++)
            ret->binds_host |= strncmp(word, host[k], strlen(host[k])) == 0;
        ret->binds_host |= strncmp(word, "-p", 2) == 0 || strcmp(word, "-P") == 0;
        ret->binds_host |=
            i && strcmp(word, "host") == 0 &&
            (strcmp(words[i - 1], "--network") == 0 || strcmp(words[i - 1], "--net") == 0);
    }
    *vec_push(arena, &ret->words) = NULL;
    ret->words.n--;
}

static bool
holds(const json_t *list, const json_t *item)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) if (json_equal(one, item)) return true;
    return false;
}

/* Variables that podman gives to each container, and shows as if somebody had said them. */
static bool
is_podmans(Str name)
{
    static const char *const names[] = {"container", "HOME", "HOSTNAME", "TERM"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(name, str_of(names[i])))
            return true;
    return false;
}

void
options_env(Arena *arena, const json_t *env, const json_t *of_image, Words *ret)
{
    size_t i;
    const json_t *one;
    AUTO_JSON *mark = json_string("container=podman");
    bool podman = holds(env, mark);
    json_array_foreach(env, i, one)
    {
        Str pair = {json_string_value(one), json_string_length(one)};
        size_t end = str_find(pair, '=');
        if (!pair.p || end == pair.n || holds(of_image, one) ||
            (podman && is_podmans(str_sub(pair, 0, end))))
            continue;
        add_env(arena, pair, ret);
    }
}

/* What docker reads in such a file as it was: one line, and no comment. */
static bool
fits_line(Str pair)
{
    return pair.n < LABEL_MOST && pair.p[0] != '#' && str_find(pair, '\n') == pair.n &&
           str_find(pair, '\r') == pair.n;
}

static bool
hand_labels(const Orders *orders, Order *order, const Words *labels, Error *err)
{
    Arena *arena = orders->arena;
    StrBuf file = strbuf_new(arena, ANSWER_CEILING);
    char *path;
    for (size_t i = 0; i < labels->n; i++) {
        Str pair = str_of(labels->p[i]);
        size_t end = str_find(pair, '=');
        if (orders->dry_run) {
            order_add(arena, order, "--label",
                      str_printf(arena, STR_FMT "=***", STR_ARG(str_sub(pair, 0, end))), NULL);
        } else if (fits_line(pair)) {
            strbuf_add(&file, pair);
            strbuf_addc(&file, '\n');
        } else {
            log_warn("deploy.label",
                     "the label '" STR_FMT "' fits no line of a file: docker is handed it in view "
                     "of all on this machine",
                     STR_ARG(str_sub(pair, 0, end)));
            order_add(arena, order, "--label", labels->p[i], NULL);
        }
    }
    if (!file.n)
        return true;
    if (!fs_memory_file(arena, "labels", strbuf_str(&file), &path, err))
        return false;
    order_add(arena, order, "--label-file", path, NULL);
    return true;
}

bool
options_hand(const Orders *orders, Order *order, const EngineOptions *options, Error *err)
{
    if (!order_hand(orders, order, &options->env, err) ||
        !hand_labels(orders, order, &options->labels, err))
        return false;
    for (size_t i = 0; i < options->words.n; i++)
        order_add(orders->arena, order, options->words.p[i], NULL);
    return true;
}

/* ---- from a container ---- */

/* What is a list of texts, a word each; what is a number or a text; what is true. */
static const struct {
    const char *path, *flag;
    const char *usual; /* not worth a word */
} plain[] = {
    {"HostConfig.Binds", "--volume", NULL},
    {"HostConfig.VolumesFrom", "--volumes-from", NULL},
    {"HostConfig.ExtraHosts", "--add-host", NULL},
    {"HostConfig.Dns", "--dns", NULL},
    {"HostConfig.DnsSearch", "--dns-search", NULL},
    {"HostConfig.DnsOptions", "--dns-option", NULL},
    {"HostConfig.CapAdd", "--cap-add", NULL},
    {"HostConfig.CapDrop", "--cap-drop", NULL},
    {"HostConfig.SecurityOpt", "--security-opt", NULL},
    {"HostConfig.GroupAdd", "--group-add", NULL},
    {"HostConfig.Memory", "--memory", "0"},
    {"HostConfig.MemorySwap", "--memory-swap", "0"},
    {"HostConfig.MemoryReservation", "--memory-reservation", "0"},
    {"HostConfig.CpuQuota", "--cpu-quota", "0"},
    {"HostConfig.CpuPeriod", "--cpu-period", "0"},
    {"HostConfig.CpuShares", "--cpu-shares", "0"},
    {"HostConfig.CpusetCpus", "--cpuset-cpus", ""},
    {"HostConfig.PidsLimit", "--pids-limit", "0"},
    {"HostConfig.ShmSize", "--shm-size", "67108864"},
    {"HostConfig.OomScoreAdj", "--oom-score-adj", "0"},
    {"HostConfig.PidMode", "--pid", ""},
    {"HostConfig.UTSMode", "--uts", ""},
    {"HostConfig.UsernsMode", "--userns", ""},
    {"HostConfig.IpcMode", "--ipc", "private"},
    {"HostConfig.Runtime", "--runtime", "runc"},
    {"HostConfig.ReadonlyRootfs", "--read-only", NULL},
    {"HostConfig.Privileged", "--privileged", NULL},
    {"HostConfig.PublishAllPorts", "--publish-all", NULL},
    {"HostConfig.Init", "--init", NULL},
    {"Config.Tty", "--tty", NULL},
    {"Config.OpenStdin", "--interactive", NULL},
    {"Config.StopTimeout", "--stop-timeout", "0"},
};

/* Maps of name to value: NAME=VALUE, or NAME:VALUE for tmpfs. */
static const struct {
    const char *path, *flag;
    char between;
} maps[] = {
    {"HostConfig.Tmpfs", "--tmpfs", ':'},
    {"HostConfig.Sysctls", "--sysctl", '='},
};

static void
add_plain(Arena *arena, const json_t *container, EngineOptions *o)
{
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        const json_t *value = value_at(container, plain[i].path), *one;
        size_t n;
        char *text = NULL;
        if (json_is_true(value))
            add(arena, o, plain[i].flag, STR_ABSENT);
        if (json_is_integer(value))
            text = str_printf(arena, "%lld", (long long)json_integer_value(value));
        if (json_is_string(value))
            text = str_dup(arena, str_of(json_string_value(value)));
        /* Podman's runtime is always "oci", which it does not take as an option. */
        if (text && strcmp(text, "oci") != 0 &&
            (!plain[i].usual || strcmp(text, plain[i].usual) != 0))
            add(arena, o, plain[i].flag, str_of(text));
        json_array_foreach(value, n, one)
            add(arena, o, plain[i].flag, str_of(json_string_value(one)));
    }
    for (size_t i = 0; i < COUNT_OF(maps); i++) {
        json_t *map = value_at(container, maps[i].path), *one;
        const char *name;
        json_object_foreach(map, name, one)
        {
            const char *value = json_string_value(one);
            add(arena, o, maps[i].flag,
                str_of(value && *value ? str_printf(arena, "%s%c%s", name, maps[i].between, value)
                                       : str_dup(arena, str_of(name))));
        }
    }
}

static void
add_ports(Arena *arena, const json_t *container, EngineOptions *o)
{
    json_t *ports = value_at(container, "HostConfig.PortBindings"), *list;
    const char *port;
    json_object_foreach(ports, port, list)
    {
        size_t i;
        const json_t *one;
        json_array_foreach(list, i, one)
        {
            Str ip = value_text(one, "HostIp"), host = value_text(one, "HostPort");
            bool six = ip.n && str_find(ip, ':') < ip.n;
            add(arena, o, "--publish",
                str_of(str_printf(arena, "%s" STR_FMT "%s%s" STR_FMT "%s%s", six ? "[" : "",
                                  STR_ARG(ip), six ? "]" : "", ip.n ? ":" : "", STR_ARG(host),
                                  host.n || ip.n ? ":" : "", port)));
            o->binds_host |= host.n > 0;
        }
    }
}

/* Podman says RLIMIT_NOFILE, and takes nofile as an option, as docker does. */
static char *
limit_name(Arena *arena, Str name)
{
    static const Str prefix = STR("RLIMIT_");
    char *text = str_dup(arena, str_starts(name, prefix) ? str_sub(name, prefix.n, name.n) : name);
    for (char *p = text; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return text;
}

/* Lists of objects. */
static void
add_limits(Arena *arena, const json_t *container, EngineOptions *o)
{
    size_t i;
    const json_t *one;
    json_array_foreach(value_at(container, "HostConfig.Ulimits"), i, one)
        add(arena, o, "--ulimit",
            str_of(str_printf(arena, "%s=%lld:%lld", limit_name(arena, value_text(one, "Name")),
                              (long long)value_number(one, "Soft"),
                              (long long)value_number(one, "Hard"))));
    json_array_foreach(value_at(container, "HostConfig.Devices"), i, one)
        add(arena, o, "--device",
            str_of(str_printf(arena, STR_FMT ":" STR_FMT ":" STR_FMT,
                              STR_ARG(value_text(one, "PathOnHost")),
                              STR_ARG(value_text(one, "PathInContainer")),
                              STR_ARG(value_text(one, "CgroupPermissions")))));
}

static bool
is_own_network(Str mode)
{
    static const char *const usual[] = {"", "default", "bridge", "none", "host", "podman"};
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        if (str_eq(mode, str_of(usual[i])))
            return false;
    return !str_starts(mode, STR("container:"));
}

static void
add_networks(Arena *arena, const json_t *container, EngineOptions *o)
{
    Str mode = value_text(container, "HostConfig.NetworkMode"), id = value_text(container, "Id");
    json_t *networks = value_at(container, "NetworkSettings.Networks"), *one;
    const char *name;
    if (mode.n && !str_eq(mode, STR("default")))
        add(arena, o, "--network", mode);
    o->binds_host |= str_eq(mode, STR("host"));
    json_object_foreach(networks, name, one)
    {
        size_t i;
        const json_t *alias;
        if (!str_eq(str_of(name), mode)) {
            if (is_own_network(str_of(name)))
                *vec_push(arena, &o->networks) = str_dup(arena, str_of(name));
            continue;
        }
        json_array_foreach(value_at(one, "Aliases"), i, alias)
        {
            Str text = str_of(json_string_value(alias));
            if (text.n && !str_starts(id, text) && is_own_network(mode))
                add(arena, o, "--network-alias", text);
        }
    }
    size_t i;
    json_array_foreach(value_at(container, "HostConfig.Links"), i, one)
    {
        /* "/other:/this/alias" */
        Str link = str_of(json_string_value(one));
        size_t colon = str_find(link, ':'), slash = link.n;
        while (slash > colon && link.p[slash - 1] != '/')
            slash--;
        add(arena, o, "--link",
            str_of(str_printf(arena, STR_FMT ":" STR_FMT,
                              STR_ARG(str_sub(link, str_starts(link, STR("/")), colon)),
                              STR_ARG(str_sub(link, slash, link.n)))));
    }
}

/* Volumes that the engine made by itself for the image's VOLUME have no place among the options:
 * without them the successor would begin empty. */
static bool
add_mounts(Arena *arena, const json_t *container, EngineOptions *o, Error *err)
{
    size_t i, k;
    const json_t *mount, *known;
    json_array_foreach(value_at(container, "Mounts"), i, mount)
    {
        Str type = value_text(mount, "Type"), to = value_text(mount, "Destination");
        Str from = value_text(mount, str_eq(type, STR("volume")) ? "Name" : "Source");
        bool bound = false;
        json_array_foreach(value_at(container, "HostConfig.Binds"), k, known)
        {
            Str bind = str_of(json_string_value(known));
            bound |= str_find_str(bind, to) < bind.n;
        }
        if (bound || str_eq(type, STR("tmpfs")))
            continue;
        if (!str_eq(type, STR("volume")) && !str_eq(type, STR("bind"))) {
            error_set(err, ERROR_USAGE,
                      "the mount of '" STR_FMT "' (" STR_FMT ") cannot be repeated", STR_ARG(to),
                      STR_ARG(type));
            return error_hint(err, "Name the options of the container: `deploy: options:`.");
        }
        add(arena, o, "--mount",
            str_of(str_printf(arena, "type=" STR_FMT ",source=" STR_FMT ",target=" STR_FMT "%s",
                              STR_ARG(type), STR_ARG(from), STR_ARG(to),
                              value_true(mount, "RW") ? "" : ",readonly")));
    }
    json_array_foreach(value_at(container, "HostConfig.Mounts"), i, mount)
    {
        if (!str_eq(value_text(mount, "Type"), STR("tmpfs")))
            continue;
        add(arena, o, "--mount",
            str_of(str_printf(arena, "type=tmpfs,target=" STR_FMT,
                              STR_ARG(value_text(mount, "Target")))));
    }
    return true;
}

/* Before podman 5 a text with blanks between its words. NULL = none. */
static json_t *
entrypoint_of(Arena *arena, const json_t *container)
{
    json_t *entry = value_at(container, "Config.Entrypoint");
    char **words = NULL;
    if (!json_is_string(entry))
        return json_incref(entry);
    if (!json_string_length(entry) ||
        !str_split_words(arena, str_of(json_string_value(entry)), &words))
        return NULL;
    json_t *list = json_array();
    for (; *words; words++)
        json_array_append_new(list, json_string(*words));
    return list;
}

/* What somebody said when it was started, in place of the image's own. */
static void
add_program(Arena *arena, const json_t *container, const json_t *image, EngineOptions *o)
{
    static const struct {
        const char *path, *flag;
    } texts[] = {{"Config.User", "--user"},
                 {"Config.WorkingDir", "--workdir"},
                 {"Config.StopSignal", "--stop-signal"}};
    size_t i;
    AUTO_JSON *entry = entrypoint_of(arena, container);
    const json_t *one, *words = value_at(container, "Config.Cmd");
    for (i = 0; i < COUNT_OF(texts); i++) {
        Str value = value_text(container, texts[i].path), known = value_text(image, texts[i].path);
        bool root = !known.n && str_eq(value, STR("/"));
        if (value.n && !root && !str_eq(value, known))
            add(arena, o, texts[i].flag, value);
    }
    bool own_entry = entry && !json_equal(entry, value_at(image, "Config.Entrypoint"));
    json_array_foreach(own_entry ? entry : NULL, i, one)
    {
        if (i == 0)
            add(arena, o, "--entrypoint", str_of(json_string_value(one)));
        else
            *vec_push(arena, &o->program) = str_dup(arena, str_of(json_string_value(one)));
    }
    if (!own_entry && (!words || json_equal(words, value_at(image, "Config.Cmd"))))
        return;
    json_array_foreach(words, i, one) * vec_push(arena, &o->program) =
        str_dup(arena, str_of(json_string_value(one)));
}

static void
add_labels(Arena *arena, const json_t *container, const json_t *image, EngineOptions *o)
{
    json_t *labels = value_at(container, "Config.Labels"), *one;
    const json_t *known = value_at(image, "Config.Labels");
    const char *name;
    json_object_foreach(labels, name, one)
    {
        if (!json_equal(json_object_get(known, name), one) && strncmp(name, "lockstep_", 9) != 0)
            *vec_push(arena, &o->labels) = str_printf(arena, "%s=%s", name, json_string_value(one));
    }
}

/* Docker takes these among its words alone, where everybody on the machine reads them. */
static bool
is_secret_option(Str name, Str value)
{
    static const char *const marks[] = {"token", "password", "secret"};
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (str_find_str(name, str_of(marks[i])) < name.n)
            return true;
    return str_find_str(value, STR("://")) < value.n && str_find(value, '@') < value.n;
}

static bool
add_log(Arena *arena, const json_t *container, EngineOptions *o, Error *err)
{
    Str driver = value_text(container, "HostConfig.LogConfig.Type");
    json_t *options = value_at(container, "HostConfig.LogConfig.Config"), *one;
    const char *name;
    if (driver.n && !str_eq(driver, STR("json-file")))
        add(arena, o, "--log-driver", driver);
    json_object_foreach(options, name, one)
    {
        const char *value = json_string_value(one);
        if (is_secret_option(str_of(name), str_of(value))) {
            error_set(err, ERROR_USAGE,
                      "the log option '%s' is secret, and docker takes it among its words only",
                      name);
            return error_hint(err, "Set it in the engine's daemon.json, for all containers, or "
                                   "name the container's options: `deploy: options:`.");
        }
        add(arena, o, "--log-opt", str_of(str_printf(arena, "%s=%s", name, value ? value : "")));
    }
    return true;
}

bool
options_of_container(
    Arena *arena, const json_t *container, const json_t *image, EngineOptions *ret, Error *err)
{
    EngineOptions o = {0};
    Str restart = value_text(container, "HostConfig.RestartPolicy.Name");
    int64_t retries = value_number(container, "HostConfig.RestartPolicy.MaximumRetryCount");
    int64_t cpus = value_number(container, "HostConfig.NanoCpus");
    options_env(arena, value_at(container, "Config.Env"), value_at(image, "Config.Env"), &o.env);
    add_plain(arena, container, &o);
    add_limits(arena, container, &o);
    add_ports(arena, container, &o);
    add_networks(arena, container, &o);
    if (!add_mounts(arena, container, &o, err) || !add_log(arena, container, &o, err))
        return false;
    add_labels(arena, container, image, &o);
    add_program(arena, container, image, &o);
    if (restart.n && !str_eq(restart, STR("no")))
        add(arena, &o, "--restart",
            str_of(retries
                       ? str_printf(arena, STR_FMT ":%lld", STR_ARG(restart), (long long)retries)
                       : str_dup(arena, restart)));
    if (cpus)
        add(arena, &o, "--cpus",
            str_of(str_printf(arena, "%lld.%09lld", (long long)(cpus / 1000000000),
                              (long long)(cpus % 1000000000))));
    *vec_push(arena, &o.words) = NULL;
    o.words.n--;
    *ret = o;
    return true;
}
