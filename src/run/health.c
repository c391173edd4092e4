/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few lines of HTTP/1.1 for probes: one request a connection, no keep-alive, requests of at most
 * 4 KiB, a few connections at a time.
 *
 * Whoever closes a TCP connection first keeps its port in TIME_WAIT, and the service that is about
 * to bind the port might not set SO_REUSEADDR. So the client is left to close first (the answer
 * says how long it is), and whatever is still open in the end is reset instead of closed.
 */

#include "run/health.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/banned.h"

enum { CLIENTS = 16, REQUEST_CEILING = 4096, ANSWER_CEILING = 1024, BACKLOG = 16 };

typedef struct Client {
    int fd; /* -1 = free */
    bool answered;
    int64_t order; /* the oldest gives way when all places are taken */
    size_t n;
    char request[REQUEST_CEILING];
} Client;

struct Health {
    int epoll_fd, listen_fd;
    int64_t accepted;
    int64_t done, total;
    char what[256]; /* JSON-safe */
    Client clients[CLIENTS];
};

static bool
watch(const Health *h, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
drop(Client *c, bool reset)
{
    if (c->fd < 0)
        return;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (reset)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(c->fd);
    c->fd = -1;
}

static int
listen_on(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void
cleanup_addrinfo(struct addrinfo **list)
{
    if (*list)
        freeaddrinfo(*list);
}

/* Numeric addresses only: a name would mean asking the network before anything runs. */
static int
open_listener(Arena *arena, const char *address, Error *err)
{
    Str host = STR_ABSENT;
    const char *colon = strrchr(address, ':');
    const char *port = colon ? colon + 1 : address;
    if (colon)
        host = str_sub(str_of(address), 0, (size_t)(colon - address));
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 1);
    int64_t number;
    if (!str_to_i64(str_of(port), &number) || number < 1 || number > 65535) {
        error_set(err, ERROR_USAGE, "'%s' is no address for health probes", address);
        error_hint(err, "Write --health PORT or --health ADDRESS:PORT, as in --health 8080.");
        return -1;
    }
    /* Dual-stack where there is IPv6, else IPv4. */
    const char *const fallbacks[] = {"::", "0.0.0.0"};
    char *named = host.n ? str_dup(arena, host) : NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    for (size_t i = 0; i < (named ? 1 : COUNT_OF(fallbacks)); i++) {
        CLEANUP(cleanup_addrinfo) struct addrinfo *list = NULL;
        if (getaddrinfo(named ? named : fallbacks[i], port, &hints, &list) != 0) {
            errno = EADDRNOTAVAIL;
            continue;
        }
        int fd = listen_on(list);
        if (fd >= 0)
            return fd;
    }
    error_set_errno(err, ERROR_USAGE, errno, "cannot answer health probes on '%s'", address);
    error_hint(err, "Give --health a free port, and an IP address of this machine if any.");
    return -1;
}

bool
health_open(Arena *arena, const char *address, Health **ret, Error *err)
{
    int fd = open_listener(arena, address, err);
    if (fd < 0)
        return false;
    Health *h = arena_make(arena, Health);
    h->listen_fd = fd;
    for (size_t i = 0; i < CLIENTS; i++)
        h->clients[i].fd = -1;
    h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll_fd < 0 || !watch(h, fd, NULL)) {
        error_set_errno(err, ERROR_FAILED, errno, "watching the health port");
        health_close(h);
        return false;
    }
    *ret = h;
    return true;
}

int
health_fd(const Health *h)
{
    return h->epoll_fd;
}

void
health_progress(Health *h, int64_t done, int64_t total, const char *what)
{
    h->done = done;
    h->total = total;
    size_t n = 0;
    for (const char *p = what; *p != '\0' && n + 1 < sizeof h->what; p++) {
        unsigned char c = (unsigned char)*p;
        h->what[n++] = c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? '?' : *p;
    }
    h->what[n] = '\0';
}

/* "GET /healthz/ready?x HTTP/1.1": does the path contain "ready"? */
static bool
asks_ready(const Client *c)
{
    Str request = {c->request, c->n};
    Str line = str_sub(request, 0, str_find(request, '\r'));
    Str rest = str_sub(line, str_find(line, ' ') + 1, line.n);
    Str path = str_sub(rest, 0, str_find(rest, ' '));
    path = str_sub(path, 0, str_find(path, '?'));
    return str_find_str(path, STR("ready")) < path.n;
}

static void
answer(const Health *h, Client *c)
{
    bool ready = asks_ready(c);
    bool head = c->n >= 5 && memcmp(c->request, "HEAD ", 5) == 0;
    char body[ANSWER_CEILING / 2], text[ANSWER_CEILING];
    int n = snprintf(body, sizeof body,
                     "{\"status\":\"migrating\",\"done\":%lld,\"total\":%lld,\"current\":\"%s\"}\n",
                     (long long)h->done, (long long)h->total, h->what);
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                        "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
                        ready ? "503 Service Unavailable" : "200 OK", n, head ? "" : body);
    /* Far smaller than any socket's buffer: it fits, or the client is gone. */
    (void)send(c->fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    c->answered = true;
}

static bool
is_complete(const Client *c)
{
    Str request = {c->request, c->n};
    return str_find_str(request, STR("\r\n\r\n")) < request.n ||
           str_find_str(request, STR("\n\n")) < request.n;
}

static void
read_client(const Health *h, Client *c)
{
    for (;;) {
        char ignored[512];
        size_t room = sizeof c->request - c->n;
        bool keep = !c->answered && room > 0;
        ssize_t n = recv(c->fd, keep ? c->request + c->n : ignored, keep ? room : sizeof ignored,
                         MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            drop(c, n < 0);
            return;
        }
        if (!keep)
            continue;
        c->n += (size_t)n;
        if (is_complete(c)) {
            answer(h, c);
        } else if (c->n == sizeof c->request) {
            drop(c, true);
            return;
        }
    }
}

static void
accept_clients(Health *h)
{
    for (;;) {
        int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        Client *place = &h->clients[0];
        for (size_t i = 0; i < CLIENTS && place->fd >= 0; i++)
            if (h->clients[i].fd < 0 || h->clients[i].order < place->order)
                place = &h->clients[i];
        drop(place, true);
        place->fd = fd;
        place->n = 0;
        place->answered = false;
        place->order = ++h->accepted;
        if (!watch(h, fd, place))
            drop(place, true);
    }
}

void
health_serve(Health *h)
{
    struct epoll_event events[CLIENTS + 1];
    int n = epoll_wait(h->epoll_fd, events, COUNT_OF(events), 0);
    for (int i = 0; i < n; i++) {
        Client *c = events[i].data.ptr;
        if (c == NULL)
            accept_clients(h);
        else if (c->fd >= 0)
            read_client(h, c);
    }
}

void
health_close(Health *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < CLIENTS; i++)
        drop(&h->clients[i], true);
    if (h->listen_fd >= 0)
        close(h->listen_fd);
    if (h->epoll_fd >= 0)
        close(h->epoll_fd);
    h->listen_fd = h->epoll_fd = -1;
}
