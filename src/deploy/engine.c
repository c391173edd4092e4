/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to the container engine, and its answers. */

#include "deploy/engine.h"

#include <stdarg.h>
#include <string.h>

#include "core/banned.h"

enum { TAIL_LINES = 20 };

/* ---- orders ---- */

static Order
order_at(const Deploy *d, const char *host, const char *first, va_list more)
{
    Order order = order_of(d->arena, "docker", NULL);
    if (host)
        order_add(d->arena, &order, "--host", host, NULL);
    for (const char *word = first; word; word = va_arg(more, const char *))
        order_add(d->arena, &order, word, NULL);
    return order;
}

Order
engine_order(const Deploy *d, const char *word, ...)
{
    va_list more;
    va_start(more, word);
    Order order = order_at(d, d->options->docker_host, word, more);
    va_end(more);
    return order;
}

Order
engine_order_here(const Deploy *d, const char *word, ...)
{
    va_list more;
    va_start(more, word);
    Order order = order_at(d, d->platform->pulls ? NULL : d->options->docker_host, word, more);
    va_end(more);
    return order;
}

/* ---- answers ---- */

static bool
has_one(Str said, const char *const *signs)
{
    for (; *signs; signs++)
        if (str_find_str(said, str_of(*signs)) < said.n)
            return true;
    return false;
}

static const char *const unreached[] = {"error during connect", "annot connect", "o such host",
                                        NULL};

bool
engine_is_away(const Error *err)
{
    return err->cls == ERROR_CLASS_TIMEOUT || has_one(str_of(err->detail), unreached);
}

/* The engine says that there is none, each kind in its own way: "No such container", "no such
 * service", "network x not found". "No such host" or file is a client that did not reach it: taken
 * for an answer, it would make what serves look like nothing. */
static bool
says_absent(Str said)
{
    static const char *const unable[] = {"o such file", "command not found", NULL};
    if (has_one(said, unreached) || has_one(said, unable))
        return false;
    return str_find_str(said, STR("o such")) < said.n ||
           str_find_str(said, STR("not found")) < said.n;
}

bool
engine_inspect(Deploy *d, const char *kind, const char *name, json_t **ret, Error *err)
{
    Answer answer;
    Order order = engine_order(d, kind, "inspect", name, NULL);
    order.may_fail = true;
    order.pretend = "[{}]";
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    if (answer.status != 0) {
        if (!says_absent(answer.said)) {
            error_set(err, ERROR_FAILED, "the container engine did not answer");
            error_hint(err, "Does `docker version` answer, with the same --docker-host?");
            return error_detail(err, STR_FMT, STR_ARG(answer.said));
        }
        *ret = NULL;
        return true;
    }
    AUTO_JSON *list = NULL;
    if (!values_read(answer.out, "docker inspect", &list, err))
        return false;
    json_t *one = json_array_get(list, 0);
    if (!json_is_object(one))
        return error_set(err, ERROR_FAILED, "the container engine's answer about '%s' is empty",
                         name);
    *ret = json_incref(one);
    return true;
}

Str
engine_tail(Deploy *d, const char *container)
{
    Answer answer;
    Error ignored = ERROR_INIT;
    Order order =
        engine_order(d, "logs", "--tail", str_printf(d->arena, "%d", TAIL_LINES), container, NULL);
    order.may_fail = true;
    if (d->orders.dry_run || !order_run(&d->orders, &order, &answer, &ignored))
        return STR("");
    return answer.out.n && answer.said.n
               ? str_of(str_printf(d->arena, STR_FMT "\n" STR_FMT, STR_ARG(answer.out),
                                   STR_ARG(answer.said)))
           : answer.out.n ? answer.out
                          : answer.said;
}
