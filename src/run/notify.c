/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receivers over libcurl's multi interface: its sockets and its timer stand in one epoll descriptor
 * that the run's Wait serves, so that a slow receiver costs the migration nothing.
 */

#include "run/notify.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "run/curl.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/banned.h"

enum { TIMEOUT_MS = 5000, QUEUE_CEILING = 64, SECRET_LENGTH = 8 };

typedef struct Receiver {
    char *url;   /* a secret */
    char *shown; /* scheme and host */
    CURL *easy;
    Str queue[QUEUE_CEILING];
    size_t first, count; /* the first is being sent while `busy` */
    bool busy, warned;
    char reason[CURL_ERROR_SIZE];
} Receiver;

struct Notify {
    Arena *arena;
    CurlApi curl;
    bool loaded, failed; /* libcurl */
    CURLM *multi;
    struct curl_slist *headers;
    int epoll_fd, timer_fd;
    VEC(Receiver) receivers;
};

bool
notify_wants(const char *event)
{
    static const char *const wanted[] = {
        "migration.started", "migration.finished", "migration.failed", "migration.blocked",
        "deploy.started",    "deploy.finished",    "deploy.failed"};
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (strcmp(event, wanted[i]) == 0)
            return true;
    return false;
}

/* ---- libcurl ---- */

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    (void)easy;
    (void)known;
    Notify *n = ctx;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(n->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    struct epoll_event event = {.data.fd = fd};
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(n->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0)
        (void)epoll_ctl(n->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    const Notify *n = ctx;
    struct itimerspec when = {0}; /* all zero disarms */
    if (timeout_ms >= 0) {
        when.it_value.tv_sec = timeout_ms / 1000;
        when.it_value.tv_nsec = timeout_ms % 1000 * 1000000L;
        if (timeout_ms == 0)
            when.it_value.tv_nsec = 1; /* at once, but not from within libcurl */
    }
    (void)timerfd_settime(n->timer_fd, 0, &when, NULL);
    return 0;
}

static bool
load(Notify *n)
{
    if (n->loaded || n->failed)
        return n->loaded;
    const char *reason = "libcurl does not start";
    n->failed = true;
    if (curl_load(&n->curl, &reason) && n->curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        n->multi = n->curl.multi_init();
        n->headers = n->curl.slist_append(NULL, "Content-Type: application/json");
        n->failed = n->multi == NULL || n->headers == NULL;
    }
    if (n->failed) {
        log_warn("notify.failed", "nobody is notified: %s", reason);
        return false;
    }
    n->curl.multi_setopt(n->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    n->curl.multi_setopt(n->multi, CURLMOPT_SOCKETDATA, n);
    n->curl.multi_setopt(n->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    n->curl.multi_setopt(n->multi, CURLMOPT_TIMERDATA, n);
    n->loaded = true;
    return true;
}

/* ---- receivers ---- */

static void
warn_once(Receiver *r, const char *reason)
{
    if (!r->warned)
        log_warn("notify.failed", "the notification to %s failed: %s", r->shown, reason);
    r->warned = true;
}

static void
take_off(Receiver *r)
{
    r->first = (r->first + 1) % QUEUE_CEILING;
    r->count--;
    r->busy = false;
}

static bool
prepare(const Notify *n, Receiver *r)
{
    if (r->easy)
        return true;
    r->easy = n->curl.easy_init();
    if (r->easy == NULL)
        return false;
    const CurlApi *curl = &n->curl;
    curl->easy_setopt(r->easy, CURLOPT_URL, r->url);
    curl->easy_setopt(r->easy, CURLOPT_PRIVATE, r);
    curl->easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl->easy_setopt(r->easy, CURLOPT_HTTPHEADER, n->headers);
    curl->easy_setopt(r->easy, CURLOPT_USERAGENT, "lockstep/" LOCKSTEP_VERSION);
    curl->easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, curl_ignore_answer);
    curl->easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->reason);
    return true;
}

static void
send_next(Notify *n, Receiver *r)
{
    while (!r->busy && r->count > 0) {
        Str json = r->queue[r->first];
        r->busy = true;
        r->reason[0] = '\0';
        if (prepare(n, r) && n->curl.easy_setopt(r->easy, CURLOPT_POSTFIELDS, json.p) == CURLE_OK &&
            n->curl.easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)json.n) ==
                CURLE_OK &&
            n->curl.multi_add_handle(n->multi, r->easy) == CURLM_OK)
            return;
        warn_once(r, "libcurl refused it");
        take_off(r);
    }
}

static void
collect(Notify *n)
{
    int left;
    for (CURLMsg *m; (m = n->curl.multi_info_read(n->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURL *easy = m->easy_handle; /* `m` does not outlive the removal */
        CURLcode code = m->data.result;
        Receiver *r = NULL;
        long status = 0;
        n->curl.easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&r);
        n->curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        n->curl.multi_remove_handle(n->multi, easy);
        if (code != CURLE_OK)
            warn_once(r, r->reason[0] ? r->reason : n->curl.easy_strerror(code));
        else if (status >= 300)
            warn_once(r, str_printf(n->arena, "it answered %ld", status));
        take_off(r);
        send_next(n, r);
    }
}

void
notify_event(Notify *n, Str json)
{
    if (!load(n))
        return;
    for (size_t i = 0; i < n->receivers.n; i++) {
        Receiver *r = &n->receivers.p[i];
        if (r->count == QUEUE_CEILING) {
            warn_once(r, "it is too slow; events are left out");
            continue;
        }
        r->queue[(r->first + r->count++) % QUEUE_CEILING] = str_copy(n->arena, json);
        send_next(n, r);
    }
}

void
notify_serve(Notify *n)
{
    struct epoll_event events[16];
    int running;
    int count = epoll_wait(n->epoll_fd, events, COUNT_OF(events), 0);
    if (count <= 0 || !n->loaded)
        return;
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        unsigned what = events[i].events;
        if (fd == n->timer_fd) {
            uint64_t ignored;
            (void)!read(n->timer_fd, &ignored, sizeof ignored);
            n->curl.multi_socket_action(n->multi, CURL_SOCKET_TIMEOUT, 0, &running);
            continue;
        }
        int mask = (what & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (what & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        n->curl.multi_socket_action(n->multi, fd, mask, &running);
    }
    collect(n);
}

static bool
is_idle(const Notify *n)
{
    for (size_t i = 0; i < n->receivers.n; i++)
        if (n->receivers.p[i].count > 0)
            return false;
    return true;
}

void
notify_drain(Notify *n, Wait *wait)
{
    int64_t deadline_ms = clock_ms() + TIMEOUT_MS;
    while (!is_idle(n)) {
        Error ignored = ERROR_INIT;
        WaitResult result = wait_fd(wait, n->epoll_fd, EPOLLIN, deadline_ms, &ignored);
        notify_serve(n);
        if (result == WAIT_READY)
            continue;
        for (size_t i = 0; i < n->receivers.n && result == WAIT_DEADLINE; i++)
            if (n->receivers.p[i].count > 0)
                warn_once(&n->receivers.p[i], "no answer in 5 s");
        return;
    }
}

/* ---- beginning and end ---- */

static bool
add_receiver(Notify *n, const char *url, Error *err)
{
    Str text = str_of(url);
    size_t scheme = str_find_str(text, STR("://"));
    if (!str_starts(text, STR("http://")) && !str_starts(text, STR("https://"))) {
        error_set(err, ERROR_USAGE, "a notification URL does not begin with http:// or https://");
        return error_hint(err, "Correct --notify, LOCKSTEP_NOTIFY or 'notify' in lockstep.yaml.");
    }
    Str rest = str_sub(text, scheme + 3, text.n);
    size_t end = strcspn(rest.p, "/?#");
    Str host = str_sub(rest, 0, end);
    size_t at = str_find(host, '@');
    if (at < host.n) {
        secret_mask_also(str_sub(host, 0, at));
        host = str_sub(host, at + 1, host.n);
    }
    /* A web hook's path is its password. A short one is no secret, and is common in other texts. */
    Str path = str_sub(rest, end, rest.n);
    if (path.n >= SECRET_LENGTH)
        secret_mask_also(path);
    Receiver *r = vec_push(n->arena, &n->receivers);
    *r = (Receiver){.url = str_dup(n->arena, text)};
    r->shown = str_printf(n->arena, STR_FMT "://" STR_FMT, STR_ARG(str_sub(text, 0, scheme)),
                          STR_ARG(host));
    return true;
}

bool
notify_open(Arena *arena, char *const *urls, Notify **ret, Error *err)
{
    Notify *n = arena_make(arena, Notify);
    n->arena = arena;
    for (size_t i = 0; urls[i] != NULL; i++)
        if (!add_receiver(n, urls[i], err))
            return false;
    n->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    n->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = n->timer_fd};
    if (n->epoll_fd < 0 || n->timer_fd < 0 ||
        epoll_ctl(n->epoll_fd, EPOLL_CTL_ADD, n->timer_fd, &event) != 0) {
        error_set(err, ERROR_FAILED, "no descriptor is left for notifications");
        notify_close(n);
        return false;
    }
    *ret = n;
    return true;
}

int
notify_fd(const Notify *n)
{
    return n->epoll_fd;
}

void
notify_close(Notify *n)
{
    if (n == NULL)
        return;
    for (size_t i = 0; n->loaded && i < n->receivers.n; i++) {
        Receiver *r = &n->receivers.p[i];
        if (r->busy)
            n->curl.multi_remove_handle(n->multi, r->easy);
        if (r->easy)
            n->curl.easy_cleanup(r->easy);
    }
    if (n->loaded) {
        n->curl.multi_cleanup(n->multi);
        n->curl.slist_free_all(n->headers);
        n->curl.global_cleanup();
    }
    n->loaded = false;
    if (n->timer_fd >= 0)
        close(n->timer_fd);
    if (n->epoll_fd >= 0)
        close(n->epoll_fd);
    n->epoll_fd = n->timer_fd = -1;
}
