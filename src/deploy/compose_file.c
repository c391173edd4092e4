/* SPDX-License-Identifier: Apache-2.0 */
/* Which Compose, which files, and what they say of the service. */

#include "deploy/compose.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "core/fs.h"
#include "doc/doc.h"
#include "proc/proc.h"
#include "core/banned.h"

enum { FILE_CEILING = 4 << 20 };

/* As Compose itself looks for them: the first of each. */
static const char *const file_names[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
                                         "docker-compose.yaml"};
static const char *const override_names[] = {"compose.override.yml", "compose.override.yaml",
                                             "docker-compose.override.yml",
                                             "docker-compose.override.yaml"};

/* ---- orders ---- */

Order
compose_order(const Deploy *d, const char *override_path, const char *word, ...)
{
    const Compose *c = d->state;
    const DeployOptions *o = d->options;
    Order order;
    va_list more;
    if (c->plugin) {
        order = engine_order(d, "compose", NULL);
    } else {
        order = order_of(d->arena, "docker-compose", NULL);
        if (o->docker_host)
            order_add(d->arena, &order, "--host", o->docker_host, NULL);
    }
    if (o->project)
        order_add(d->arena, &order, "--project-name", o->project, NULL);
    for (size_t i = 0; i < c->files.n; i++)
        order_add(d->arena, &order, "--file", c->files.p[i], NULL);
    if (override_path)
        order_add(d->arena, &order, "--file", override_path, NULL);
    va_start(more, word);
    for (; word; word = va_arg(more, const char *))
        order_add(d->arena, &order, word, NULL);
    va_end(more);
    order.stage = c->plugin ? "docker compose" : "docker-compose";
    return order;
}

bool
compose_override(Deploy *d, const char *image, bool labelled, char **ret_path, Error *err)
{
    const Compose *c = d->state;
    AUTO_JSON *file = json_object(), *services = json_object();
    if (c->version)
        json_object_set_new(file, "version", json_string(c->version));
    for (size_t i = 0; i < c->services.n; i++) {
        const ComposeService *s = &c->services.p[i];
        const char *of = image ? image : s->before;
        if (!of)
            continue;
        json_t *one = json_object();
        json_object_set_new(one, "image", json_string(of));
        if (labelled && s->config)
            json_object_set_new(one, "labels", json_pack("{s:s}", "lockstep_config", s->config));
        json_object_set_new(services, s->name, one);
    }
    json_object_set(file, "services", services);
    return order_memory_file(&d->orders, "lockstep.override.json", values_print(d->arena, file),
                             ret_path, err);
}

/* ---- which program, which files ---- */

static bool
find_program(Deploy *d, Error *err)
{
    Compose *c = d->state;
    Answer answer;
    Order order = engine_order(d, "compose", "version", NULL);
    order.may_fail = true;
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    c->plugin = answer.status == 0;
    if (c->plugin || proc_which(d->arena, "docker-compose", d->options->environ_))
        return true;
    error_set(err, ERROR_USAGE, "neither `docker compose` nor 'docker-compose' is installed here");
    return error_hint(err, "Install the Compose plugin of the docker command.");
}

static const char *
first_there(const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fs_kind(names[i]) == FS_FILE)
            return names[i];
    return NULL;
}

static void
add_file(Deploy *d, Compose *c, Str path)
{
    if (path.n)
        *vec_push(d->arena, &c->files) = str_dup(d->arena, path);
}

/* All files are named to Compose, because it looks for none where one is named. */
static bool
find_files(Deploy *d, Error *err)
{
    Compose *c = d->state;
    Str named = str_of(env_get(d->options->environ_, "COMPOSE_FILE"));
    if (d->options->file) {
        add_file(d, c, str_of(d->options->file));
        return true;
    }
    while (named.n) {
        size_t end = str_find(named, ':');
        add_file(d, c, str_sub(named, 0, end));
        named = str_sub(named, end + 1, named.n);
    }
    if (c->files.n)
        return true;
    const char *file = first_there(file_names, COUNT_OF(file_names));
    const char *override = first_there(override_names, COUNT_OF(override_names));
    if (!file) {
        error_set(err, ERROR_USAGE, "there is no Compose file here");
        return error_hint(err, "Run the deploy beside it, or give `--file`.");
    }
    add_file(d, c, str_of(file));
    add_file(d, c, str_of(override));
    return true;
}

/* Where the plugin does not tell it: by the rules that it goes by, without those of `.env`. */
static const char *
guess_project(Deploy *d)
{
    const Compose *c = d->state;
    char path[PATH_MAX];
    const char *said = env_get(d->options->environ_, "COMPOSE_PROJECT_NAME");
    if (d->options->project || said)
        return str_dup(d->arena, str_of(d->options->project ? d->options->project : said));
    Str rest = str_of(realpath(c->files.p[0], path) ? path : "");
    while (rest.n && rest.p[rest.n - 1] != '/')
        rest.n--;
    rest.n -= rest.n > 0;
    size_t from = rest.n;
    while (from && rest.p[from - 1] != '/')
        from--;
    StrBuf name = strbuf_new(d->arena, PATH_MAX);
    for (size_t i = from; i < rest.n; i++) {
        int ch = tolower((unsigned char)rest.p[i]);
        if (isalnum(ch) || ch == '-' || ch == '_')
            strbuf_addc(&name, (char)ch);
    }
    return name.n ? name.p : "default";
}

/* ---- what they say ---- */

static bool
read_document(Deploy *d, Str text, const char *from, const DocNode **ret, Error *err)
{
    Docs documents = {0};
    if (!doc_read_yaml(d->arena, text, &documents, err))
        return error_at(err, from, err->line, err->column);
    *ret = documents.n ? documents.p[0] : NULL;
    return true;
}

static bool
read_version(Deploy *d, Error *err)
{
    Compose *c = d->state;
    Str text;
    const DocNode *file;
    if (!fs_read(d->arena, c->files.p[0], FILE_CEILING, &text, err) ||
        !read_document(d, text, c->files.p[0], &file, err))
        return false;
    c->version = str_dup(d->arena, doc_text_at(file, "version"));
    return true;
}

static bool
takes_port(const DocNode *port)
{
    Str text = doc_text(port);
    if (doc_is(port, DOC_MAP)) {
        Str published = doc_text_at(port, "published");
        return published.n && !str_eq(published, STR("0"));
    }
    /* `HOST:CONTAINER`; `ADDRESS::CONTAINER` leaves the port to the engine. */
    return str_find(text, ':') < text.n && str_find_str(text, STR("::")) == text.n;
}

/* Of a service, a network, a document: NULL where there is none. */
static const DocNode *
first_of(const DocNode *map, const char *key)
{
    const DocNode *node = doc_get(map, key);
    return node ? node->first : NULL;
}

/* No second container of it can stand beside the first; or the file itself says so. */
static bool
stands_alone(const DocNode *service)
{
    for (const DocNode *port = first_of(service, "ports"); port; port = port->next)
        if (takes_port(port))
            return true;
    for (const DocNode *net = first_of(service, "networks"); net; net = net->next)
        if (doc_get(net, "ipv4_address") || doc_get(net, "ipv6_address"))
            return true;
    return doc_get(service, "container_name") || doc_get(service, "mac_address") ||
           str_eq(doc_text_at(service, "network_mode"), STR("host")) ||
           str_eq(doc_text_at(service, "deploy.update_config.order"), STR("stop-first"));
}

static int64_t
replicas_of(const DocNode *service)
{
    int64_t n = 0;
    return str_to_i64(doc_text_at(service, "deploy.replicas"), &n) ||
                   str_to_i64(doc_text_at(service, "scale"), &n)
               ? n
               : 0;
}

static void
add_service(Deploy *d, const DocNode *service, bool worker)
{
    Compose *c = d->state;
    *vec_push(d->arena, &c->services) =
        (ComposeService){.name = str_dup(d->arena, service->key),
                         .wanted = replicas_of(service),
                         .alone = stands_alone(service),
                         .optional = worker && first_of(service, "profiles") != NULL};
}

static void
add_need(Deploy *d, Str service, Str condition)
{
    Compose *c = d->state;
    for (size_t i = 0; i < c->services.n; i++)
        if (str_eq(str_of(c->services.p[i].name), service))
            return;
    for (size_t i = 0; i < c->needs.n; i++)
        if (str_eq(str_of(c->needs.p[i].service), service))
            return;
    *vec_push(d->arena, &c->needs) = (ComposeNeed){
        str_dup(d->arena, service),
        str_dup(d->arena, condition.n ? condition : STR("service_started")),
    };
}

/* A service that another waits for the end of is a step of starting, such as a migration of its
 * own: nothing that serves. */
static bool
is_step(const DocNode *services, const DocNode *service)
{
    for (const DocNode *other = services->first; other; other = other->next) {
        const DocNode *on = doc_get(other, "depends_on");
        for (on = on ? on->first : NULL; on; on = on->next)
            if (str_eq(on->key, service->key) &&
                str_eq(doc_text_at(on, "condition"), STR("service_completed_successfully")))
                return true;
    }
    return false;
}

static bool
no_service(Deploy *d, const DocNode *services, Error *err)
{
    VEC(const char *) names = {0};
    for (const DocNode *one = services ? services->first : NULL; one; one = one->next)
        *vec_push(d->arena, &names) = str_dup(d->arena, one->key);
    *vec_push(d->arena, &names) = NULL;
    const char *near = str_nearest(str_of(d->options->app), names.p);
    error_set(err, ERROR_USAGE, "the Compose file has no service '%s'", d->options->app);
    return near ? error_hint(err, "Did you mean '%s'?", near)
                : error_hint(err, "`deploy: app:` is the name of a service.");
}

/* `depends_on` as a list or with conditions; `links` of old. A step of the same image that a
 * service waits for is what the deploy does itself. */
static void
add_needs(Deploy *d, const DocNode *services, const DocNode *service)
{
    Str image = doc_text_at(service, "image");
    for (const DocNode *on = first_of(service, "depends_on"); on; on = on->next) {
        char *name = str_dup(d->arena, on->key.n ? on->key : doc_text(on));
        if (!image.n || !str_eq(doc_text(doc_get(doc_get(services, name), "image")), image))
            add_need(d, str_of(name), doc_text_at(on, "condition"));
    }
    for (const DocNode *link = first_of(service, "links"); link; link = link->next)
        add_need(d, str_sub(doc_text(link), 0, str_find(doc_text(link), ':')), STR_ABSENT);
}

static bool
choose_services(Deploy *d, const DocNode *services, Error *err)
{
    const DocNode *app = doc_get(services, d->options->app);
    if (!app)
        return no_service(d, services, err);
    Str image = doc_text_at(app, "image");
    VEC(const DocNode *) chosen = {0};
    *vec_push(d->arena, &chosen) = app;
    for (const DocNode *one = services->first; one; one = one->next)
        if (one != app && image.n && str_eq(doc_text_at(one, "image"), image) &&
            !is_step(services, one))
            *vec_push(d->arena, &chosen) = one;
    for (size_t i = 0; i < chosen.n; i++)
        add_service(d, chosen.p[i], i > 0);
    for (size_t i = 0; i < chosen.n; i++)
        add_needs(d, services, chosen.p[i]);
    return true;
}

bool
compose_read(Deploy *d, Error *err)
{
    Compose *c = d->state;
    Answer answer;
    const DocNode *config;
    if (!find_files(d, err) || !find_program(d, err) || !read_version(d, err))
        return false;
    Order order = compose_order(d, NULL, "config", NULL);
    order.pretend =
        str_printf(d->arena, "{\"services\": {\"%s\": {\"image\": \"?\"}}}", d->options->app);
    if (!order_run(&d->orders, &order, &answer, err)) {
        if (err->code == ERROR_FAILED && err->cls == ERROR_CLASS_NONE)
            err->code = ERROR_USAGE;
        return error_wrap(err, "Compose does not take the file '%s'", c->files.p[0]);
    }
    if (!read_document(d, answer.out, "docker compose config", &config, err))
        return false;
    Str project = doc_text_at(config, "name");
    c->project = project.n ? str_dup(d->arena, project) : guess_project(d);
    return choose_services(d, doc_get(config, "services"), err);
}

/* ---- containers ---- */

static bool
look_at(Deploy *d, char *id, ComposeContainers *ret, Error *err)
{
    AUTO_JSON *seen = NULL;
    if (!engine_inspect(d, "container", id, &seen, err))
        return false;
    const json_t *labels = value_at(seen, "Config.Labels");
    const char *job = json_string_value(json_object_get(labels, "com.docker.compose.oneoff"));
    if (!seen || (job && strcmp(job, "True") == 0))
        return true;
    Str health = value_text(seen, "State.Health.Status");
    *vec_push(d->arena, ret) = (ComposeContainer){
        .id = id,
        .image = str_dup(d->arena, value_text(seen, "Image")),
        .says = str_dup(d->arena, value_text(seen, "Config.Image")),
        .config = str_dup(d->arena, value_text(labels, "lockstep_config")),
        .healthy = !health.n || str_eq(health, STR("none")) || str_eq(health, STR("healthy")),
        .running = value_true(seen, "State.Running"),
        .status = (int)value_number(seen, "State.ExitCode"),
    };
    return true;
}

bool
compose_containers(Deploy *d, const char *service, ComposeContainers *ret, Error *err)
{
    Answer answer;
    Order order = compose_order(d, NULL, "ps", "--all", "--quiet", service, NULL);
    *ret = (ComposeContainers){0};
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    Words ids = answer_lines(d->arena, answer.out);
    for (size_t i = 0; i < ids.n; i++)
        if (!look_at(d, ids.p[i], ret, err))
            return false;
    return true;
}
