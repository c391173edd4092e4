/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One child at a time, with its whole family: its own session, its output line by line, and
 * no return before every descendant is gone. A grandchild that outlives its parent (the node behind
 * a killed `npm run`) comes to us, because we are its sub-reaper; one that made a group or session
 * of its own is found in /proc as our child.
 */

#include "proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "proc/family.h"
#include "core/banned.h"

/* Descendants that are not our children yet end without our being told: looked for this often. */
enum { LOOK_MS = 20 };
enum { KEEPER_FDS = 1024 }; /* closed one by one before Linux 5.9 */
enum { LINE_CEILING = 64 * 1024, PIECES = 16, PIECES_LAST = 1024 };

typedef struct Stream {
    int fd; /* -1 = ended, or not ours */
    size_t n;
    char *line; /* LINE_CEILING bytes; what goes over it is dropped */
} Stream;

typedef struct Child {
    Wait *wait;
    const ChildSpec *spec;
    pid_t pid;
    pid_t keeper; /* ends the group when we are killed; -1 = none, or not any more */
    Stream streams[2];
    int events; /* epoll: readable when a stream or the end of the child is there */
    int pidfd;  /* -1 = a kernel before 5.3 */
    int status; /* of the child itself; -1 = still running */
    int signal; /* the first that came; kept from the Wait, so that its tick goes on */
    bool stopping;
    bool killed;                     /* whoever was left when the grace time was over */
    int64_t kill_at_ms, deadline_ms; /* -1 = not set */
    /* As the Wait had them before. */
    int (*reader)(int);
    int cleaning;
} Running;

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
close_running(Running *r)
{
    close_fd(&r->streams[0].fd);
    close_fd(&r->streams[1].fd);
    close_fd(&r->pidfd);
    close_fd(&r->events);
}
#define AUTO_RUNNING CLEANUP(close_running) Running

/* ---- starting ---- */

/* What the child gets, in the order of its descriptors 0, 1, 2; and where it says what went wrong.
 */
typedef struct Ends {
    int std[3], report;
} Ends;

/* Between fork and exec: nothing but calls that are safe in a signal handler. */
static NORETURN void
become_child(const ChildSpec *spec, const char *program, pid_t parent, Ends ends)
{
    sigset_t none;
    bool ready = true;
    /* A group of its own, and no terminal: what asks a question there would wait for ever. */
    setsid();
    /* Without us nobody keeps the lock under which it works. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() != parent)
        _exit(127);
    signals_restore();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Out of the way first: lockstep may have been started without a descriptor 0, 1 or 2. */
    for (int i = 0; i < 3; i++)
        ends.std[i] = fcntl(ends.std[i], F_DUPFD_CLOEXEC, 3);
    ends.report = fcntl(ends.report, F_DUPFD_CLOEXEC, 3);
    for (int i = 0; i < 3 && ready; i++)
        ready = ends.std[i] >= 0 && dup2(ends.std[i], i) == i;
    if (ready)
        execve(program, spec->argv, spec->envp);
    int why = errno;
    ssize_t ignored = write(ends.report, &why, sizeof why);
    (void)ignored;
    _exit(127);
}

/* A process that does nothing but outlive us: SIGKILL leaves us no time, and the kernel tells the
 * child alone. It holds no descriptor (a connection that stays open would keep the lock), and every
 * signal but the one that tells of our end is blocked. */
static NORETURN void
become_keeper(pid_t parent, pid_t group)
{
    sigset_t all, wanted;
    int signo = 0;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    setpgid(0, 0);
    /* By number: musl has no wrapper. */
    if (syscall(SYS_close_range, 0U, ~0U, 0U) != 0)
        for (int fd = 0; fd < KEEPER_FDS; fd++)
            close(fd);
    if (prctl(PR_SET_PDEATHSIG, SIGUSR1) != 0)
        _exit(0);
    while (getppid() == parent && sigwait(&wanted, &signo) != 0)
        ;
    kill(-group, SIGKILL);
    _exit(0);
}

static void
end_keeper(Running *r)
{
    if (r->keeper > 0) {
        kill(r->keeper, SIGKILL);
        waitpid(r->keeper, NULL, 0);
    }
    r->keeper = -1;
}

/* 0, or why exec failed: the write end closes by itself when it succeeds. */
static int
read_report(int fd)
{
    int why = 0;
    ssize_t n;
    do {
        n = read(fd, &why, sizeof why);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof why ? why : 0;
}

/* Forks; 0, or the reason why the program does not run. */
static int
launch(
    Running *r, const char *program, int input, const int out[2], const int errs[2], int report[2])
{
    int to = r->spec->stdout_fd >= 0 ? r->spec->stdout_fd : out[1];
    pid_t self = getpid();
    r->pid = fork();
    if (r->pid < 0)
        return errno;
    if (r->pid == 0)
        become_child(r->spec, program, self, (Ends){{input, to, errs[1]}, report[1]});
    close_fd(&report[1]);
    int why = read_report(report[0]);
    if (why)
        waitpid(r->pid, NULL, 0);
    else if (r->spec->group_dies_with_us && (r->keeper = fork()) == 0)
        become_keeper(self, r->pid);
    return why;
}

static void
watch(const Running *r, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    (void)epoll_ctl(r->events, EPOLL_CTL_ADD, fd, &event);
}

static bool
start(Running *r, const char *program, Error *err)
{
    const char *name = r->spec->argv[0], *from = r->spec->stdin_path;
    int out[2] = {-1, -1}, errs[2] = {-1, -1}, report[2] = {-1, -1};
    int input = open(from ? from : "/dev/null", O_RDONLY | O_CLOEXEC);
    if (input < 0)
        return error_set_errno(err, ERROR_FAILED, errno, "cannot read '%s' for '%s'",
                               from ? from : "/dev/null", name);
    r->events = epoll_create1(EPOLL_CLOEXEC);
    bool made = r->events >= 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(errs, O_CLOEXEC) == 0 &&
                pipe2(report, O_CLOEXEC) == 0;
    int why = made ? launch(r, program, input, out, errs, report) : errno;
    int ours[] = {input, out[1], errs[1], report[0], report[1]};
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        close_fd(&ours[i]);
    r->streams[0].fd = out[0];
    r->streams[1].fd = errs[0];
    if (why)
        return error_set_errno(err, ERROR_FAILED, why, "cannot start '%s'", name);
    for (int i = 0; i < 2; i++) {
        (void)fcntl(r->streams[i].fd, F_SETFL, O_NONBLOCK);
        watch(r, r->streams[i].fd);
    }
    r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
    if (r->pidfd >= 0)
        watch(r, r->pidfd);
    return true;
}

/* ---- output ---- */

static void
give_line(const Running *r, int stream)
{
    const Stream *s = &r->streams[stream];
    Str line = {s->line, s->n};
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (r->spec->line)
        r->spec->line(r->spec->line_ctx, stream + 1, line);
}

static void
take(Running *r, int stream, Str bytes)
{
    Stream *s = &r->streams[stream];
    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] == '\n') {
            give_line(r, stream);
            s->n = 0;
        } else if (s->n < LINE_CEILING) {
            s->line[s->n++] = bytes.p[i];
        }
    }
}

/* What is there, up to a bound: a child that writes without a pause must starve no heartbeat. */
static void
drain(Running *r, int stream, int pieces)
{
    char buf[8192];
    Stream *s = &r->streams[stream];
    while (s->fd >= 0 && pieces-- > 0) {
        ssize_t n = read(s->fd, buf, sizeof buf);
        if (n > 0)
            take(r, stream, (Str){buf, (size_t)n});
        else if (n == 0)
            close_fd(&s->fd);
        else if (errno != EINTR)
            return;
    }
}

/* The family is gone: what is left in the pipes, and last lines without an end. */
static void
drain_rest(Running *r)
{
    for (int i = 0; i < 2; i++) {
        drain(r, i, PIECES_LAST);
        if (r->streams[i].n)
            give_line(r, i);
    }
}

/* ---- ending ---- */

/* Reaps; true when the child and every descendant is gone. */
static bool
family_is_gone(Running *r)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != r->pid)
            continue;
        r->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        end_keeper(r);
        close_fd(&r->pidfd); /* leaves the epoll by that */
        r->deadline_ms = -1; /* the child was in time */
        if (r->kill_at_ms < 0)
            r->kill_at_ms = clock_ms() + r->spec->grace_ms; /* for those it left behind */
    }
    /* Orphans that are let go do not come to us, and neither do those that stayed in the group.
     * Once these were killed they are gone, though nobody else may reap them. */
    return pid < 0 && errno == ECHILD && !(r->spec->lets_go && !r->killed && kill(-r->pid, 0) == 0);
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

static void
signal_family(const Running *r, int signo)
{
    kill(-r->pid, signo);
    family_signal_strays(r->pid, signo);
}

/* Begins the end: the family gets `signo`, and KILL after the grace time. Once only. */
static void
stop(Running *r, int signo)
{
    if (r->stopping)
        return;
    r->stopping = true;
    if (r->spec->stopping)
        r->spec->stopping(r->spec->stopping_ctx);
    signal_family(r, signo);
    signal_family(r, SIGCONT); /* who is stopped would not notice */
    r->kill_at_ms = earlier(r->kill_at_ms, clock_ms() + r->spec->grace_ms);
}

/* A wait was stopped: by a signal, or by the tick because the lock is lost. */
static void
on_stop(Running *r, const Error *why, Error *err)
{
    if (err->code == ERROR_NONE)
        *err = *why;
    if (why->code == ERROR_SIGNALLED) {
        if (!r->signal)
            r->signal = why->signal;
        r->wait->signal_caught = 0;
        stop(r, why->signal);
    } else {
        wait_cleanup_begin(r->wait);
        signal_family(r, SIGKILL);
        r->kill_at_ms = clock_ms() + LOOK_MS;
    }
}

static void
look_at_clock(Running *r, Error *err)
{
    int64_t now = clock_ms();
    if (r->deadline_ms >= 0 && now >= r->deadline_ms) {
        if (err->code == ERROR_NONE)
            error_set(err, ERROR_FAILED, "'%s' did not end within %lld ms", r->spec->argv[0],
                      (long long)r->spec->timeout_ms);
        r->deadline_ms = -1;
        stop(r, SIGTERM);
    }
    if (r->kill_at_ms >= 0 && now >= r->kill_at_ms) {
        signal_family(r, SIGKILL);
        r->killed = true;
        r->kill_at_ms = now + LOOK_MS; /* again: a family may grow while it is being killed */
    }
}

/* Until the family is gone. The first reason to stop is kept in err. */
static void
supervise(Running *r, Error *err)
{
    while (!family_is_gone(r)) {
        Error why = ERROR_INIT;
        bool told = r->pidfd >= 0; /* the child's end will wake us */
        int64_t until = earlier(r->deadline_ms, r->kill_at_ms);
        if (!told)
            until = earlier(until, clock_ms() + LOOK_MS);
        if (wait_fd(r->wait, r->events, POLLIN, until, &why) == WAIT_STOPPED)
            on_stop(r, &why, err);
        drain(r, 0, PIECES);
        drain(r, 1, PIECES);
        look_at_clock(r, err);
    }
    drain_rest(r);
}

/* Starts it; what is to be undone at the end is kept in `r`. */
static bool
begin(Running *r, Arena *arena, Wait *w, const ChildSpec *spec, Error *err)
{
    *r = (Running){.wait = w,
                   .spec = spec,
                   .pid = -1,
                   .keeper = -1,
                   .status = -1,
                   .events = -1,
                   .pidfd = -1,
                   .kill_at_ms = -1,
                   .deadline_ms = -1,
                   .reader = w->read_signal,
                   .cleaning = w->cleaning};
    char *program = proc_which(arena, spec->argv[0], spec->envp);
    for (int i = 0; i < 2; i++)
        r->streams[i] = (Stream){.fd = -1, .line = arena_alloc(arena, LINE_CEILING)};
    if (!program)
        return error_set(err, ERROR_FAILED, "'%s' is not there, or cannot be executed",
                         spec->argv[0]);
    proc_become_reaper(!spec->lets_go);
    if (!start(r, program, err))
        return false;
    if (spec->timeout_ms > 0)
        r->deadline_ms = clock_ms() + spec->timeout_ms;
    /* Whoever reaps orphans when a signal is read would take the child's status away. */
    if (r->reader)
        w->read_signal = signals_read;
    return true;
}

static void
finish(Running *r, Error *err)
{
    supervise(r, err);
    r->wait->read_signal = r->reader;
    r->wait->cleaning = r->cleaning;
    if (r->signal)
        r->wait->signal_caught = r->signal;
}

bool
child_run(Wait *w, const ChildSpec *spec, int *ret_status, Error *err)
{
    SCRATCH_ARENA(scratch);
    AUTO_RUNNING r;
    if (!begin(&r, scratch, w, spec, err))
        return false;
    finish(&r, err);
    if (err->code != ERROR_NONE)
        return false;
    *ret_status = r.status;
    return true;
}

/* ---- read as it comes ---- */

bool
child_open(Arena *arena, Wait *w, const ChildSpec *spec, Child **ret, Error *err)
{
    Running *r = arena_make(arena, Running);
    if (!begin(r, arena, w, spec, err)) {
        close_running(r);
        return false;
    }
    *ret = r;
    return true;
}

bool
child_read(Child *r, char *buf, size_t size, size_t *ret_n, Error *err)
{
    for (Stream *s = &r->streams[0]; s->fd >= 0;) {
        ssize_t n = read(s->fd, buf, size);
        if (n > 0) {
            *ret_n = (size_t)n;
            return true;
        }
        if (n == 0)
            close_fd(&s->fd);
        else if (errno != EINTR && errno != EAGAIN)
            return error_set_errno(err, ERROR_FAILED, errno, "cannot read what '%s' writes",
                                   r->spec->argv[0]);
        if (s->fd < 0)
            break;
        int64_t until = earlier(r->deadline_ms, r->kill_at_ms);
        if (wait_fd(r->wait, r->events, POLLIN, until, err) == WAIT_STOPPED)
            return false;
        drain(r, 1, PIECES);
        (void)family_is_gone(r);
        look_at_clock(r, err);
        if (err->code != ERROR_NONE)
            return false;
    }
    *ret_n = 0;
    return true;
}

bool
child_close(Child *r, int *ret_status, Error *err)
{
    if (r->streams[0].fd >= 0) {
        close_fd(&r->streams[0].fd);
        stop(r, SIGTERM);
    }
    finish(r, err);
    close_running(r);
    if (err->code != ERROR_NONE)
        return false;
    *ret_status = r->status;
    return true;
}
