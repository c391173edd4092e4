/* SPDX-License-Identifier: Apache-2.0 */
/* One program at a time, its words told or run. */

#include "deploy/order.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/secret.h"
#include "proc/proc.h"
#include "core/banned.h"

enum { SAID_CEILING = 64 * 1024, TELLING = 900 };

/* ---- words ---- */

static void
add_all(Arena *arena, Order *order, const char *first, va_list more)
{
    for (const char *word = first; word; word = va_arg(more, const char *))
        *vec_push(arena, &order->argv) = str_dup(arena, str_of(word));
}

Order
order_of(Arena *arena, const char *program, ...)
{
    Order order = {0};
    va_list more;
    va_start(more, program);
    add_all(arena, &order, program, more);
    va_end(more);
    return order;
}

void
order_add(Arena *arena, Order *order, const char *word, ...)
{
    va_list more;
    va_start(more, word);
    add_all(arena, order, word, more);
    va_end(more);
}

void
order_env(Arena *arena, Order *order, const char *name, Str value)
{
    *vec_push(arena, &order->env) = str_printf(arena, "%s=" STR_FMT, name, STR_ARG(value));
}

/* What docker, its plugins, ssh and their libraries heed. */
static bool
means_the_program(Str name)
{
    static const char *const starts[] = {"DOCKER_", "BUILDKIT_", "COMPOSE_", "SSH_",
                                         "LD_",     "XDG_",      "GO"};
    static const char *const names[] = {"PATH",     "HOME",        "TMPDIR",    "HTTP_PROXY",
                                        "NO_PROXY", "HTTPS_PROXY", "ALL_PROXY", "MALLOC_ARENA_MAX"};
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        if (str_starts(name, str_of(starts[i])))
            return true;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    return false;
}

bool
order_hand(const Orders *orders, Order *order, const Words *pairs, Error *err)
{
    Arena *arena = orders->arena;
    StrBuf file = strbuf_new(arena, ANSWER_CEILING);
    char *path;
    for (size_t i = 0; i < pairs->n; i++) {
        Str pair = str_of(pairs->p[i]);
        size_t end = str_find(pair, '=');
        char *name = str_dup(arena, str_sub(pair, 0, end));
        if (!means_the_program(str_of(name)) || orders->dry_run) {
            order_add(arena, order, "--env", name, NULL);
            order_env(arena, order, name, str_sub(pair, end + 1, pair.n));
        } else if (str_find(pair, '\n') < pair.n) {
            return error_set(err, ERROR_USAGE,
                             "the variable '%s' has several lines, and cannot be handed on", name);
        } else {
            strbuf_add(&file, pair);
            strbuf_addc(&file, '\n');
        }
    }
    if (!file.n)
        return true;
    if (!fs_memory_file(arena, "variables", strbuf_str(&file), &path, err))
        return false;
    order_add(arena, order, "--env-file", path, NULL);
    return true;
}

bool
order_memory_file(const Orders *orders, const char *name, Str data, char **ret_path, Error *err)
{
    if (!orders->dry_run)
        return fs_memory_file(orders->arena, name, data, ret_path, err);
    Order echo = order_of(orders->arena, "echo", str_dup(orders->arena, data), NULL);
    Str text = order_text(orders->arena, &echo);
    *ret_path = str_dup(orders->arena, str_of(name));
    orders->tell(orders->tell_ctx,
                 str_of(str_printf(orders->arena, STR_FMT " > %s", STR_ARG(text), name)));
    return true;
}

Words
answer_lines(Arena *arena, Str out)
{
    Words lines = {0};
    for (Str rest = out; rest.n;) {
        size_t end = str_find(rest, '\n');
        Str line = str_trim(str_sub(rest, 0, end));
        if (line.n)
            *vec_push(arena, &lines) = str_dup(arena, line);
        rest = str_sub(rest, end + 1, rest.n);
    }
    return lines;
}

/* Quoted where a shell would read it otherwise. */
static void
add_word(StrBuf *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:=,@%+<>";
    if (*word && strspn(word, plain) == strlen(word) && !strpbrk(word, "<>")) {
        strbuf_puts(out, word);
        return;
    }
    strbuf_addc(out, '\'');
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            strbuf_puts(out, "'\\''");
        else
            strbuf_addc(out, *p);
    }
    strbuf_addc(out, '\'');
}

Str
order_text(Arena *arena, const Order *order)
{
    StrBuf out = strbuf_new(arena, ANSWER_CEILING);
    for (size_t i = 0; i < order->env.n; i++) {
        Str name = str_of(order->env.p[i]);
        name.n = str_find(name, '=');
        strbuf_printf(&out, STR_FMT "=*** ", STR_ARG(name));
    }
    for (size_t i = 0; i < order->argv.n && order->argv.p[i]; i++) {
        if (i)
            strbuf_addc(&out, ' ');
        add_word(&out, order->argv.p[i]);
    }
    return str_copy(arena, secret_redact(arena, strbuf_str(&out)));
}

/* ---- running ---- */

typedef struct Listener {
    const Orders *orders;
    const Order *order;
    const char *stage;
    StrBuf said; /* stderr, and stdout where it is the story */
} Listener;

static void
on_line(void *ctx, int stream, Str line)
{
    Listener *l = ctx;
    if (l->order->line && (stream == 1 || l->order->line_of_both)) {
        l->order->line(l->order->line_ctx, stream, line);
        if (stream == 1)
            return;
    }
    if (l->order->to_log && line.n)
        log_info("deploy.output", "%s: " STR_FMT, l->stage, STR_ARG(line));
    if (l->said.n + line.n + 2 < SAID_CEILING) {
        strbuf_add(&l->said, line);
        strbuf_addc(&l->said, '\n');
    }
}

/* What an order printed into memory, as text. */
static bool
read_back(const Orders *orders, int fd, const char *stage, Str *ret, Error *err)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0 || size > ANSWER_CEILING)
        return error_set(err, ERROR_FAILED, "'%s' printed more than %d MiB", stage,
                         ANSWER_CEILING >> 20);
    char *text = arena_alloc(orders->arena, (size_t)size + 1);
    size_t n = 0;
    while (n < (size_t)size) {
        ssize_t got = pread(fd, text + n, (size_t)size - n, (off_t)n);
        if (got <= 0)
            return error_set_errno(err, ERROR_FAILED, errno, "cannot read what '%s' printed",
                                   stage);
        n += (size_t)got;
    }
    while (n && strchr(" \t\r\n", text[n - 1]))
        n--;
    *ret = (Str){text, n};
    return true;
}

static void
close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* The last lines of it, which hold the reason as a rule. */
static bool
failed(Arena *arena, const Listener *l, int status, bool timed_out, Error *err)
{
    Str said = str_trim(strbuf_str(&l->said));
    if (said.n > TELLING)
        said = str_sub(said, said.n - TELLING, said.n);
    if (timed_out) {
        error_set(err, ERROR_FAILED, "`%s` did not end in time", l->stage);
        err->cls = ERROR_CLASS_TIMEOUT;
    } else {
        error_set(err, ERROR_FAILED, "`%s` failed with status %d", l->stage, status);
    }
    if (said.n)
        error_detail(err, STR_FMT, STR_ARG(secret_redact(arena, said)));
    return false;
}

static bool
start(const Orders *orders, const Order *order, char **envp, Listener *l, Answer *ret, Error *err)
{
    CLEANUP(close_fd) int out = -1;
    char *input = NULL;
    int64_t limit = order->limit_ms ? order->limit_ms : ORDER_MS, began = clock_ms();
    bool keeps = !order->line && !order->to_log;
    if (keeps && (out = memfd_create("answer", MFD_CLOEXEC)) < 0)
        return error_set_errno(err, ERROR_FAILED, errno, "cannot make a file in memory");
    if (order->input.p && !fs_memory_file(orders->arena, "input", order->input, &input, err))
        return false;
    ChildSpec spec = {.argv = order->argv.p,
                      .envp = envp,
                      .stdin_path = input,
                      .stdout_fd = out,
                      .line = on_line,
                      .line_ctx = l,
                      .grace_ms = orders->grace_ms,
                      .timeout_ms = limit,
                      .lets_go = true};
    if (!child_run(orders->wait, &spec, &ret->status, err)) {
        if (err->code == ERROR_SIGNALLED || clock_ms() - began < limit)
            return false;
        error_clear(err);
        return failed(orders->arena, l, 0, true, err);
    }
    ret->said = secret_redact(orders->arena, str_trim(strbuf_str(&l->said)));
    if (keeps && !read_back(orders, out, l->stage, &ret->out, err))
        return false;
    if (ret->status == 0 || order->may_fail)
        return true;
    if (clock_ms() - began >= limit)
        return failed(orders->arena, l, 0, true, err);
    return failed(orders->arena, l, ret->status, false, err);
}

bool
order_run(const Orders *orders, Order *order, Answer *ret, Error *err)
{
    Arena *arena = orders->arena;
    Answer answer = {.out = STR(""), .said = STR("")};
    *vec_push(arena, &order->argv) = NULL;
    order->argv.n--;
    if (orders->dry_run) {
        Str text = order_text(arena, order);
        if (order->shown.p)
            text = str_of(str_printf(arena, STR_FMT " <<'END'\n" STR_FMT "\nEND", STR_ARG(text),
                                     STR_ARG(order->shown)));
        orders->tell(orders->tell_ctx, text);
        answer.out = str_of(order->pretend ? order->pretend : "");
        if (ret)
            *ret = answer;
        return true;
    }
    log_debug("deploy.command", STR_FMT, STR_ARG(order_text(arena, order)));
    if (!proc_which(arena, order->argv.p[0], orders->environ_)) {
        error_set(err, ERROR_USAGE, "'%s' is not installed here", order->argv.p[0]);
        return error_hint(err, "Install it, or run the deploy where it is.");
    }
    char **envp = env_without(arena, orders->environ_, (const char *const[]){NULL});
    for (size_t i = 0; i < order->env.n; i++) {
        Str pair = str_of(order->env.p[i]);
        size_t end = str_find(pair, '=');
        envp = env_with(arena, envp, str_dup(arena, str_sub(pair, 0, end)), pair.p + end + 1);
    }
    Listener l = {.orders = orders,
                  .order = order,
                  .stage = order->stage ? order->stage : order->argv.p[0],
                  .said = strbuf_new(arena, SAID_CEILING)};
    if (!start(orders, order, envp, &l, &answer, err))
        return false;
    FAULT_POINT("deploy.order");
    if (ret)
        *ret = answer;
    return true;
}
