/* SPDX-License-Identifier: Apache-2.0 */
/* ssh, and what its last words mean. */

#include "deploy/remote.h"

#include <stdarg.h>
#include <string.h>

#include "core/log.h"
#include "core/banned.h"

enum { LOST_STATUS = 255, ASK_TRIES = 5, ASK_AGAIN_MS = 1000 };

/* A connection is known to be dead after half a minute without an answer: long tasks print nothing
 * for hours, and a firewall forgets them. A connection that is shared already is used; one that we
 * began would be ended with us. */
static const char *const options[] = {"BatchMode=yes",          "StrictHostKeyChecking=yes",
                                      "ControlMaster=no",       "ConnectTimeout=15",
                                      "ServerAliveInterval=10", "ServerAliveCountMax=3"};

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "_-./:=,@%+";

bool
remote_is_plain(const char *word)
{
    return *word && strspn(word, plain) == strlen(word);
}

static bool
refuse(const char *text, Error *err)
{
    error_set(err, ERROR_USAGE, "'%s' is no ssh account", text);
    return error_hint(err, "It is USER@HOST, USER@HOST:PORT or ssh://USER@HOST:PORT.");
}

bool
remote_read(Arena *arena, const char *text, const char *user, Remote *ret, Error *err)
{
    static const Str scheme = STR("ssh://");
    Str all = str_of(text), host = all, port = STR_ABSENT;
    if (str_starts(all, scheme))
        host = str_sub(all, scheme.n, all.n);
    if (str_ends(host, STR("/")))
        host.n--;
    size_t at = str_find(host, '@');
    Str name = at < host.n ? str_sub(host, 0, at) : str_of(user);
    host = str_sub(host, at < host.n ? at + 1 : 0, host.n);
    if (host.n && host.p[0] == '[') {
        size_t end = str_find(host, ']');
        if (end == host.n || (end + 1 < host.n && host.p[end + 1] != ':'))
            return refuse(text, err);
        if (end + 1 < host.n)
            port = str_sub(host, end + 2, host.n);
        host = str_sub(host, 1, end);
    } else {
        size_t colon = str_find(host, ':');
        if (colon < host.n)
            port = str_sub(host, colon + 1, host.n);
        host.n = colon;
    }
    int64_t number = 22;
    const char *account = str_printf(arena, STR_FMT "@" STR_FMT, STR_ARG(name), STR_ARG(host));
    bool good = name.n && host.n && name.p[0] != '-' && host.p[0] != '-' &&
                remote_is_plain(account) && (!port.p || str_to_i64(port, &number)) && number > 0 &&
                number <= UINT16_MAX;
    if (!good)
        return refuse(text, err);
    *ret = (Remote){.account = account, .port = str_dup(arena, port)};
    return true;
}

Order
remote_order(const Deploy *d, const Remote *remote, const char *word, ...)
{
    Order order = order_of(d->arena, "ssh", NULL);
    for (size_t i = 0; i < COUNT_OF(options); i++)
        order_add(d->arena, &order, "-o", options[i], NULL);
    if (remote->port)
        order_add(d->arena, &order, "-p", remote->port, NULL);
    order_add(d->arena, &order, "--", remote->account, NULL);
    va_list more;
    va_start(more, word);
    for (; word; word = va_arg(more, const char *))
        order_add(d->arena, &order, word, NULL);
    va_end(more);
    return order;
}

static bool
said(const Answer *answer, const char *words)
{
    return str_find_str(answer->said, str_of(words)) < answer->said.n;
}

/* ssh's words for what no second try mends. */
static bool
is_let_in(const Answer *answer, Error *err)
{
    if (said(answer, "Host key verification failed")) {
        error_set(err, ERROR_USAGE, "the host's key is not the known one");
        error_hint(err, "Put the right key into known_hosts (`ssh-keyscan` fetches it; compare its "
                        "fingerprint with the server's own); checking is never switched off.");
    } else if (said(answer, "Permission denied")) {
        error_set(err, ERROR_USAGE, "the host does not let us in");
        error_hint(err, "The key of this account must be in ssh's configuration or agent here, and "
                        "known over there.");
    } else {
        return true;
    }
    return error_detail(err, STR_FMT, STR_ARG(answer->said));
}

bool
remote_run(Deploy *d, Order *order, Answer *ret, bool *ret_lost, Error *err)
{
    Answer answer;
    order->may_fail = true;
    if (!order_run(&d->orders, order, &answer, err))
        return false;
    static const char *const last_words[] = {"ssh: ",
                                             "Connection to ",
                                             "Connection closed",
                                             "Connection reset",
                                             "client_loop:",
                                             "Broken pipe",
                                             "Timeout, server",
                                             "kex_exchange_identification",
                                             "banner exchange",
                                             "Connection timed out"};
    *ret_lost = false;
    if (answer.status == LOST_STATUS) {
        if (!is_let_in(&answer, err))
            return false;
        for (size_t i = 0; i < COUNT_OF(last_words); i++)
            *ret_lost |= said(&answer, last_words[i]);
        /* A remote shell that a signal ended says nothing at all. */
        *ret_lost |= !answer.said.n;
    }
    *ret = answer;
    return true;
}

bool
remote_ask(Deploy *d, const Remote *remote, Order *order, Answer *ret, Error *err)
{
    for (int attempt = 1;; attempt++) {
        bool lost;
        if (!remote_run(d, order, ret, &lost, err))
            return error_wrap(err, "%s", remote->account);
        if (!lost)
            return true;
        if (attempt == ASK_TRIES) {
            error_set(err, ERROR_FAILED, "%s is not to be reached", remote->account);
            return error_detail(err, STR_FMT, STR_ARG(ret->said));
        }
        log_warn("deploy.connection", "no connection to %s: trying again", remote->account);
        if (!wait_sleep(d->orders.wait, ASK_AGAIN_MS, err))
            return false;
    }
}
