/* SPDX-License-Identifier: Apache-2.0 */
/* What Dokku is asked, and how it answers (0.38). */

#include "deploy/dokku.h"
#include "deploy/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "core/banned.h"

enum { NO_SUCH_APP = 20, LOCK_EVERY_MS = 2000 };
enum { SECRET_VALUE = 6 }; /* shorter ones (a port, `true`) would be masked in every line */

Order
dokku_order(const Deploy *d, const char *word, ...)
{
    const Dokku *dokku = d->state;
    Order order = remote_order(d, &dokku->remote, word, NULL);
    va_list more;
    va_start(more, word);
    for (const char *next; (next = va_arg(more, const char *));)
        order_add(d->arena, &order, next, NULL);
    va_end(more);
    order.stage = "dokku";
    return order;
}

bool
dokku_ask(Deploy *d, Order *order, Answer *ret, Error *err)
{
    const Dokku *dokku = d->state;
    if (!remote_ask(d, &dokku->remote, order, ret, err))
        return false;
    if (ret->status != NO_SUCH_APP)
        return true;
    error_set(err, ERROR_USAGE, "there is no app '%s' on %s", d->options->app,
              dokku->remote.account);
    return error_hint(err, "`dokku apps:create %s` on it makes one; then link its database.",
                      d->options->app);
}

/* As dokku_ask, where only 0 is an answer. */
static bool
ask(Deploy *d, Order *order, Answer *ret, Error *err)
{
    if (!dokku_ask(d, order, ret, err))
        return false;
    if (ret->status == 0)
        return true;
    error_set(err, ERROR_FAILED, "Dokku does not answer `%s` (status %d)",
              order->argv.p[order->argv.n - 1], ret->status);
    return error_detail(err, STR_FMT, STR_ARG(ret->said));
}

static bool
ask_json(Deploy *d, Order *order, json_t **ret, Error *err)
{
    Answer answer;
    return ask(d, order, &answer, err) && values_read(answer.out, "dokku", ret, err);
}

/* ---- version ---- */

/* "dokku version v0.38.27", or "0.38.27" with whatever around it. */
static bool
read_version(Str text, int64_t ret[3])
{
    size_t at = 0;
    while (at < text.n && !isdigit((unsigned char)text.p[at]))
        at++;
    for (int i = 0; i < 3; i++) {
        size_t end = at;
        while (end < text.n && isdigit((unsigned char)text.p[end]))
            end++;
        if (!str_to_i64(str_sub(text, at, end), &ret[i]))
            return false;
        at = end + 1;
    }
    return true;
}

bool
dokku_check_version(Deploy *d, Error *err)
{
    static const int64_t least[3] = {0, 35, 4};
    int64_t has[3];
    Answer answer;
    Order order = dokku_order(d, "version", NULL);
    order.pretend = "dokku version v0.35.4";
    if (!ask(d, &order, &answer, err))
        return false;
    if (!read_version(answer.out, has))
        return error_set(err, ERROR_FAILED, "Dokku does not say its version: " STR_FMT,
                         STR_ARG(answer.out));
    for (int i = 0; i < 3; i++) {
        if (has[i] > least[i])
            break;
        if (has[i] == least[i])
            continue;
        error_set(err, ERROR_REFUSED, "Dokku there is %lld.%lld.%lld, too old to deploy to",
                  (long long)has[0], (long long)has[1], (long long)has[2]);
        return error_hint(err, "Update it to 0.35.4 or later: before, a failed release task could "
                               "let the deploy go on.");
    }
    return true;
}

/* ---- the deploy lock ---- */

bool
dokku_wait_unlocked(Deploy *d, int64_t limit_ms, Error *err)
{
    int64_t end = clock_ms() + limit_ms;
    for (bool told = false;; told = true) {
        Answer answer;
        Order order = dokku_order(d, "apps:locked", d->options->app, NULL);
        if (!dokku_ask(d, &order, &answer, err))
            return false;
        if (answer.status != 0 || d->orders.dry_run)
            return true;
        if (clock_ms() >= end) {
            error_set(err, ERROR_LOCKED, "'%s' has a deploy lock on Dokku", d->options->app);
            return error_hint(err,
                              "Another deploy of it is under way, or somebody locked it: "
                              "`dokku apps:unlock %s` when you are sure that it is not.",
                              d->options->app);
        }
        if (!told)
            log_info("deploy.waiting", "waiting: '%s' has a deploy lock on Dokku", d->options->app);
        if (!wait_sleep(d->orders.wait, LOCK_EVERY_MS, err))
            return false;
    }
}

/* ---- what serves ---- */

/* What Dokku was told to deploy: it writes that on what it builds, as a list in JSON. */
static const char *
image_of(Arena *arena, const json_t *container)
{
    const json_t *labels = value_at(container, "Config.Labels");
    const json_t *tags = json_object_get(labels, "com.dokku.docker-image-labeler/alternate-tags");
    Str text = {json_string_value(tags), json_string_length(tags)};
    AUTO_JSON *list = text.p ? json_loadb(text.p, text.n, 0, NULL) : NULL;
    const json_t *first = json_array_get(list, 0);
    if (json_is_string(first))
        return str_dup(arena, str_of(json_string_value(first)));
    return str_dup(arena, value_text(container, "Image"));
}

static Str
trouble_of(const json_t *container)
{
    Str health = value_text(container, "State.Health.Status");
    if (!value_true(container, "State.Running") || value_true(container, "State.Restarting"))
        return value_text(container, "State.Status");
    return !health.n || str_eq(health, STR("healthy")) ? STR_ABSENT : health;
}

static void
look_at(Deploy *d, const json_t *containers, Serving *ret)
{
    const json_t *one;
    size_t i;
    Str oldest = STR_ABSENT;
    *ret = (Serving){.uniform = true, .running = true};
    json_array_foreach(containers, i, one)
    {
        const char *image = image_of(d->arena, one);
        Str created = value_text(one, "Created"), trouble = trouble_of(one);
        if (!image)
            continue;
        ret->uniform &= !ret->any || strcmp(ret->image, image) == 0;
        if (!ret->any || str_cmp(created, oldest) < 0) {
            ret->image = image;
            oldest = created;
        }
        ret->any = true;
        if (trouble.p) {
            ret->running = false;
            ret->state = str_of(str_printf(d->arena, STR_FMT " is " STR_FMT,
                                           STR_ARG(value_text(one, "Name")), STR_ARG(trouble)));
        }
    }
    ret->running &= ret->any;
    if (!ret->any)
        ret->state = STR("it has no container");
}

bool
dokku_serving(Deploy *d, Serving *ret, Error *err)
{
    AUTO_JSON *containers = NULL;
    Answer answer, deployed;
    Order inspect = dokku_order(d, "ps:inspect", d->options->app, NULL);
    inspect.pretend = "[]";
    if (!dokku_ask(d, &inspect, &answer, err))
        return false;
    if (answer.status != 0) {
        /* Where there is no container it fails, too. */
        Order report = dokku_order(d, "ps:report", d->options->app, "--deployed", NULL);
        if (!ask(d, &report, &deployed, err))
            return false;
        if (str_eq(deployed.out, STR("true"))) {
            error_set(err, ERROR_FAILED, "Dokku does not say what '%s' serves", d->options->app);
            return error_detail(err, STR_FMT, STR_ARG(answer.said));
        }
    } else if (!values_read(answer.out, "dokku ps:inspect", &containers, err)) {
        return false;
    }
    look_at(d, containers, ret);
    return true;
}

/* ---- what a container of ours needs ---- */

/* The log has to stay readable: what is no secret, and stands in every line. */
static bool
is_secret(const Deploy *d, const char *name, Str value)
{
    return value.n >= SECRET_VALUE && strncmp(name, "DOKKU_", 6) != 0 &&
           strcmp(name, "GIT_REV") != 0 && !str_eq(value, str_of(d->options->app));
}

/* `--merged`: what is set for all apps, too. JSON, because each other format changes values. */
static bool
add_config(Deploy *d, EngineJob *job, Error *err)
{
    AUTO_JSON *config = NULL;
    const char *name;
    json_t *value;
    Order order =
        dokku_order(d, "config:export", "--format", "json", "--merged", d->options->app, NULL);
    order.pretend = "{}";
    if (!ask_json(d, &order, &config, err))
        return false;
    json_object_foreach(config, name, value)
    {
        Str text = {json_string_value(value), json_string_length(value)};
        if (!text.p)
            continue;
        if (is_secret(d, name, text))
            secret_mask_also(text);
        *vec_push(d->arena, &job->env) = str_printf(d->arena, "%s=" STR_FMT, name, STR_ARG(text));
    }
    return true;
}

static bool
add_options(Deploy *d, EngineJob *job, Error *err)
{
    Answer answer;
    char **words;
    Order order =
        dokku_order(d, "docker-options:report", d->options->app, "--docker-options-run", NULL);
    if (!ask(d, &order, &answer, err))
        return false;
    if (!str_split_words(d->arena, answer.out, &words))
        return error_set(err, ERROR_FAILED,
                         "the docker options of '%s' have an open quote: " STR_FMT, d->options->app,
                         STR_ARG(answer.out));
    EngineOptions options;
    options_of_words(d->arena, words, &options);
    job->options = engine_job_options(d->arena, options.words.p);
    for (size_t i = 0; i < options.env.n; i++)
        *vec_push(d->arena, &job->env) = options.env.p[i];
    return true;
}

/* The first one is the container's own; links work on Docker's default bridge only, so it is not
 * replaced by what is attached later. */
static bool
add_networks(Deploy *d, EngineJob *job, Error *err)
{
    AUTO_JSON *report = NULL;
    Order order = dokku_order(d, "network:report", d->options->app, "--format", "json", NULL);
    order.pretend = "{}";
    if (!ask_json(d, &order, &report, err))
        return false;
    Str initial = value_text(report, "network-computed-initial-network");
    if (initial.n) {
        *vec_push(d->arena, &job->options) = str_dup(d->arena, STR("--network"));
        *vec_push(d->arena, &job->options) = str_dup(d->arena, initial);
    }
    static const char *const later[] = {"network-attach-post-create", "network-attach-post-deploy"};
    for (size_t i = 0; i < COUNT_OF(later); i++) {
        char **names;
        char *list = str_dup(d->arena, value_text(report, later[i]));
        for (char *comma = list; comma && (comma = strchr(comma, ','));)
            *comma = ' ';
        if (!list || !str_split_words(d->arena, str_of(list), &names))
            continue;
        for (; *names; names++)
            *vec_push(d->arena, &job->networks) = *names;
    }
    return true;
}

bool
dokku_job(Deploy *d, EngineJob *ret, Error *err)
{
    *ret = (EngineJob){0};
    return add_config(d, ret, err) && add_options(d, ret, err) && add_networks(d, ret, err);
}
