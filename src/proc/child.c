/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One child at a time, with its whole family: its own process group, its output line by line, and no
 * return before every descendant is gone. A grandchild that outlives its parent (the node behind a
 * killed `npm run`) comes to us, because we are its sub-reaper.
 */

#include "proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/banned.h"

enum { LINE_MAX_BYTES = 64 * 1024, POLL_MS = 50 };

typedef struct Stream {
    int    fd; /* -1 = ended, or not ours */
    size_t n;
    bool   cut; /* the rest of an overlong line is dropped */
    char  *line; /* LINE_MAX_BYTES */
} Stream;

typedef struct Running {
    Wait            *wait;
    const ChildSpec *spec;
    pid_t            pid;
    Stream           streams[2];
    int              status; /* of the child itself; -1 = still running */
    int64_t          kill_at_ms, deadline_ms; /* 0 = not set */
} Running;

static NORETURN void
in_child(const ChildSpec *spec, char *program, const int out[2], const int errs[2], int report)
{
    setpgid(0, 0);
    signals_restore();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int in = open(spec->stdin_path ? spec->stdin_path : "/dev/null", O_RDONLY);
    int to = spec->stdout_fd >= 0 ? spec->stdout_fd : out[1];
    if (in >= 0 && dup2(in, 0) == 0 && dup2(to, 1) == 1 && dup2(errs[1], 2) == 2)
        execve(program, spec->argv, spec->envp);
    int     why = errno;
    ssize_t ignored = write(report, &why, sizeof why);
    (void)ignored;
    _exit(127);
}

static void
close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

static bool
start(Running *r, char *program, Error *err)
{
    int out[2] = {-1, -1}, errs[2] = {-1, -1}, report[2] = {-1, -1}, why = 0;
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(errs, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0) {
        why = errno;
    } else {
        r->pid = fork();
        if (r->pid == 0)
            in_child(r->spec, program, out, errs, report[1]);
        if (r->pid < 0)
            why = errno;
        else
            setpgid(r->pid, r->pid); /* both sides set it: whoever comes first */
    }
    if (report[1] >= 0)
        close(report[1]);
    report[1] = -1;
    if (!why && read(report[0], &why, sizeof why) != (ssize_t)sizeof why)
        why = 0;
    if (why) {
        if (r->pid > 0)
            waitpid(r->pid, NULL, 0);
        close_pair(out);
        close_pair(errs);
        close_pair(report);
        return error_set_errno(err, ERROR_FAILED, why, "cannot start '%s'", r->spec->argv[0]);
    }
    close(out[1]);
    close(errs[1]);
    close(report[0]);
    r->streams[0].fd = out[0];
    r->streams[1].fd = errs[0];
    for (int i = 0; i < 2; i++)
        (void)fcntl(r->streams[i].fd, F_SETFL, O_NONBLOCK);
    return true;
}

static void
give_line(const Running *r, int stream, Str line)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (r->spec->line)
        r->spec->line(r->spec->line_ctx, stream + 1, line);
}

static void
end_stream(Running *r, int i)
{
    Stream *s = &r->streams[i];
    if (s->n)
        give_line(r, i, (Str){s->line, s->n});
    close(s->fd);
    s->fd = -1;
}

static void
take(Running *r, int i, const char *bytes, size_t n)
{
    Stream *s = &r->streams[i];
    for (size_t k = 0; k < n; k++) {
        if (bytes[k] == '\n') {
            give_line(r, i, (Str){s->line, s->n});
            s->n = 0;
            s->cut = false;
        } else if (s->n < LINE_MAX_BYTES) {
            s->line[s->n++] = bytes[k];
        } else {
            s->cut = true;
        }
    }
}

static void
drain(Running *r, int i)
{
    char buf[8192];
    while (r->streams[i].fd >= 0) {
        ssize_t n = read(r->streams[i].fd, buf, sizeof buf);
        if (n > 0)
            take(r, i, buf, (size_t)n);
        else if (n == 0)
            end_stream(r, i);
        else if (errno != EINTR)
            return;
    }
}

/* Reaps; true when the child and every descendant is gone. */
static bool
family_is_gone(Running *r)
{
    int   status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == r->pid)
            r->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return pid < 0 && errno == ECHILD;
}

static void
stop_family(Running *r, int signo)
{
    kill(-r->pid, signo);
}

/* TERM (or the signal that came), then KILL after the grace time. */
static void
escalate(Running *r)
{
    if (r->kill_at_ms && clock_ms() >= r->kill_at_ms) {
        stop_family(r, SIGKILL);
        r->kill_at_ms = clock_ms() + POLL_MS;
    }
}

static void
stop_once(Running *r, int signo)
{
    if (r->kill_at_ms)
        return;
    stop_family(r, signo);
    stop_family(r, SIGCONT);
    r->kill_at_ms = clock_ms() + r->spec->grace_ms;
}

/* Until the family is gone. The first stop reason is kept in err. */
static void
supervise(Running *r, Error *err)
{
    while (!family_is_gone(r) || r->streams[0].fd >= 0 || r->streams[1].fd >= 0) {
        Error  stop = ERROR_INIT;
        int    fd = r->streams[0].fd >= 0 ? r->streams[0].fd : r->streams[1].fd;
        if (r->status >= 0 && !r->kill_at_ms)
            stop_once(r, SIGTERM); /* what the child left behind */
        if (wait_fd(r->wait, fd, POLLIN, clock_ms() + POLL_MS, &stop) == WAIT_STOPPED) {
            if (err->code == ERROR_NONE)
                *err = stop;
            stop_once(r, stop.code == ERROR_SIGNALLED ? stop.signal : SIGTERM);
            if (!r->wait->cleaning)
                wait_cleanup_begin(r->wait);
        }
        if (r->deadline_ms && clock_ms() >= r->deadline_ms && err->code == ERROR_NONE) {
            error_set(err, ERROR_FAILED, "'%s' did not end in time", r->spec->argv[0]);
            stop_once(r, SIGTERM);
        }
        escalate(r);
        drain(r, 0);
        drain(r, 1);
    }
}

bool
child_run(Wait *w, const ChildSpec *spec, int *ret_status, Error *err)
{
    SCRATCH_ARENA(scratch);
    Running r = {.wait = w, .spec = spec, .pid = -1, .status = -1};
    char   *program = proc_which(scratch, spec->argv[0], spec->envp);
    int     cleaning = w->cleaning;
    for (int i = 0; i < 2; i++)
        r.streams[i] = (Stream){.fd = -1, .line = arena_alloc(scratch, LINE_MAX_BYTES)};
    if (!program)
        return error_set(err, ERROR_FAILED, "'%s' is not there", spec->argv[0]);
    proc_become_reaper();
    if (!start(&r, program, err))
        return false;
    if (spec->timeout_ms > 0)
        r.deadline_ms = clock_ms() + spec->timeout_ms;
    supervise(&r, err);
    w->cleaning = cleaning;
    if (err->code != ERROR_NONE)
        return false;
    *ret_status = r.status;
    return true;
}
