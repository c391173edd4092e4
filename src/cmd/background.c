/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on beside a run: probes are answered, events are posted, progress is drawn. One epoll
 * descriptor gathers it all for the one place of the Wait where others may be served.
 */

#include "cmd/cmd.h"
#include "run/health.h"
#include "run/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/banned.h"

enum { BAR_WIDTH = 24, WHAT_WIDTH = 36 };

struct Background {
    Cli *cli;
    Health *health;
    Notify *notify;
    int epoll_fd;
    bool bar, bar_drawn;
};

static void
serve(void *ctx)
{
    Background *b = ctx;
    if (b->health)
        health_serve(b->health);
    if (b->notify)
        notify_serve(b->notify);
}

static void
clear_bar(Background *b)
{
    if (b->bar_drawn)
        dprintf(STDERR_FILENO, "\r\033[K");
    b->bar_drawn = false;
}

static void
on_event(void *ctx, const char *event, Str json)
{
    Background *b = ctx;
    clear_bar(b);
    if (b->notify && notify_wants(event))
        notify_event(b->notify, json);
}

/* Only on a terminal: elsewhere the log's lines are the progress. The cursor goes back to the first
 * column, so that whatever is written next writes over the bar. */
static void
draw_bar(Background *b, int64_t done, int64_t total, const char *what)
{
    char bar[BAR_WIDTH + 1];
    for (int64_t i = 0; i < BAR_WIDTH; i++)
        bar[i] = total > 0 && i < done * BAR_WIDTH / total ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    char line[128];
    snprintf(line, sizeof line, "\r\033[K[%s] %.*s\r", bar, (int)WHAT_WIDTH, what);
    dprintf(STDERR_FILENO, "%s", line);
    b->bar_drawn = done < total;
    if (!b->bar_drawn)
        dprintf(STDERR_FILENO, "\r\033[K");
}

static void
on_progress(void *ctx, int64_t done, int64_t total, const char *what)
{
    Background *b = ctx;
    if (b->health)
        health_progress(b->health, done, total, what);
    if (b->bar)
        draw_bar(b, done, total, what);
}

static bool
watch(Background *b, int fd, Error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (b->epoll_fd < 0)
        b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (b->epoll_fd >= 0 && epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return true;
    return error_set_errno(err, ERROR_FAILED, errno, "watching descriptors");
}

static bool
open_parts(Background *b, bool serve_health, Error *err)
{
    Cli *cli = b->cli;
    const char *address = setting_text(&cli->settings, SET_HEALTH);
    if (serve_health && address &&
        (!health_open(cli->arena, address, &b->health, err) ||
         !watch(b, health_fd(b->health), err)))
        return false;
    char **urls = setting_list(&cli->settings, SET_NOTIFY);
    if (urls && urls[0] &&
        (!notify_open(cli->arena, urls, &b->notify, err) || !watch(b, notify_fd(b->notify), err)))
        return false;
    return true;
}

bool
background_start(Cli *cli, RunOptions *options, bool serve_health, Background **ret, Error *err)
{
    Background *b = arena_make(cli->arena, Background);
    LogOptions log = cli_log_options(cli);
    b->cli = cli;
    b->epoll_fd = -1;
    b->bar = log.format == LOG_TEXT && log.level == LOG_INFO && isatty(STDERR_FILENO);
    if (!open_parts(b, serve_health, err)) {
        background_stop(b);
        return false;
    }
    if (b->epoll_fd >= 0) {
        cli->wait.side_fd = b->epoll_fd;
        cli->wait.side_call = serve;
        cli->wait.side_ctx = b;
    }
    if (b->notify || b->bar) {
        log.tap = on_event;
        log.tap_ctx = b;
        log_setup(&log);
    }
    options->progress = on_progress;
    options->progress_ctx = b;
    *ret = b;
    return true;
}

void
background_stop(Background *b)
{
    if (b == NULL)
        return;
    clear_bar(b);
    LogOptions log = cli_log_options(b->cli);
    log_setup(&log);
    if (b->notify) {
        wait_cleanup_begin(&b->cli->wait);
        notify_drain(b->notify, &b->cli->wait);
        wait_cleanup_end(&b->cli->wait);
    }
    b->cli->wait.side_fd = -1;
    b->cli->wait.side_call = NULL;
    notify_close(b->notify);
    health_close(b->health);
    if (b->epoll_fd >= 0)
        close(b->epoll_fd);
}
