/* SPDX-License-Identifier: Apache-2.0 */
/* Children and their families, signals through the descriptor, becoming a program. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/fs.h"
#include "proc/proc.h"

extern char **environ;

static Arena *arena;
static Error err;
static Wait w;
static int status;

typedef struct Lines {
    size_t n, longest, signal_at; /* this process gets `signo` behind so many */
    int signo;
    char out[8192], errs[8192];
} Lines;
static Lines lines;
static char at_start[128]; /* the lines SigBlk and SigIgn of this process before any test */

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    lines = (Lines){0};
    status = -1;
    w = wait_init();
    w.read_signal = signals_read;
    return signals_open(&w.signal_fd, &err) ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    while (signals_read(w.signal_fd))
        ;
    signals_restore();
    close(w.signal_fd);
    arena_free(arena);
    return 0;
}

static void
on_line(void *ctx, int stream, Str line)
{
    Lines *l = ctx;
    char *text = stream == 1 ? l->out : l->errs;
    size_t used = strlen(text);
    l->n++;
    l->longest = line.n > l->longest ? line.n : l->longest;
    if (line.n < 200)
        snprintf(text + used, sizeof l->out - used, STR_FMT "\n", STR_ARG(line));
    if (l->n == l->signal_at)
        kill(getpid(), l->signo);
}

static bool
run_spec(ChildSpec spec)
{
    if (!spec.envp)
        spec.envp = environ;
    if (!spec.stdout_fd)
        spec.stdout_fd = -1;
    spec.line = on_line;
    spec.line_ctx = &lines;
    return child_run(&w, &spec, &status, &err);
}

static bool
shell(const char *script, int64_t grace_ms, int64_t timeout_ms)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, str_dup(arena, str_of(script)), NULL};
    return run_spec((ChildSpec){.argv = argv, .grace_ms = grace_ms, .timeout_ms = timeout_ms});
}

/* After a delay this process gets a signal; the one who sends it is no child of ours. */
static void
signal_soon(int signo, int delay_ms)
{
    pid_t self = getpid(), middle = fork();
    if (middle == 0) {
        signals_restore();
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
        if (fork() == 0) {
            /* Its parent ends first, and it must not come to the process under test. */
            while (getppid() != 1 && getppid() != self)
                ;
            struct timespec t = {.tv_nsec = delay_ms * 1000000L};
            nanosleep(&t, NULL);
            kill(self, signo);
        }
        _exit(0);
    }
    waitpid(middle, NULL, 0);
}

/* Not in the group of anybody. */
static bool
nobody_left(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* ---- output and status ---- */

static void
test_maskand_status(void **state)
{
    (void)state;
    assert_true(shell("echo one; echo two >&2; printf 'three\\r\\n\\nlast'; exit 7", 1000, 0));
    assert_int_equal(status, 7);
    assert_string_equal(lines.out, "one\nthree\n\nlast\n");
    assert_string_equal(lines.errs, "two\n");
    assert_int_equal(lines.n, 5);
    assert_true(nobody_left());
    assert_true(shell("kill -KILL $$", 1000, 0));
    assert_int_equal(status, 128 + SIGKILL);
    assert_true(shell("exec 1>&- 2>&-; exit 3", 1000, 0)); /* closed long before the end */
    assert_int_equal(status, 3);
}

static void
test_long_maskand_much_output(void **state)
{
    (void)state;
    assert_true(shell("head -c 300000 /dev/zero | tr '\\0' x; echo; echo end", 1000, 0));
    assert_int_equal(lines.n, 2);
    assert_int_equal(lines.longest, 64 * 1024);
    assert_non_null(strstr(lines.out, "end\n"));
    lines = (Lines){0};
    assert_true(shell("yes a line | head -n 200000 | tee /dev/stderr", 1000, 0));
    assert_int_equal(lines.n, 400000);
}

static void
test_standard_descriptors(void **state)
{
    (void)state;
    char path[] = "/tmp/test_proc.XXXXXX", text[64] = "";
    int file = mkostemp(path, O_CLOEXEC);
    assert_int_equal(write(file, "input\n", 6), 6);
    int out = memfd_create("out", MFD_CLOEXEC);
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"cat; echo err >&2; ls /proc/self/fd"},
                    NULL};
    assert_true(run_spec((ChildSpec){.argv = argv, .stdin_path = path, .stdout_fd = out}));
    ssize_t n = pread(out, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    /* The fourth is ls's own, of the directory: nothing of ours is inherited. */
    assert_string_equal(text, "input\n0\n1\n2\n3\n");
    assert_string_equal(lines.errs, "err\n");
    close(out);
    close(file);
    unlink(path);
    lines = (Lines){0};
    assert_true(shell("cat; readlink /proc/self/fd/0", 1000, 0));
    assert_string_equal(lines.out, "/dev/null\n");
}

/* Started without descriptors 0, 1 and 2, as some supervisors do. */
static void
test_closed_descriptors(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        Wait own = wait_init();
        Error error = ERROR_INIT;
        char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"echo out; echo err >&2; cat"},
                        NULL};
        ChildSpec spec = {.argv = argv,
                          .envp = environ,
                          .stdout_fd = -1,
                          .line = on_line,
                          .line_ctx = &lines,
                          .grace_ms = 100};
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        int ended = -1;
        bool ok = child_run(&own, &spec, &ended, &error);
        _exit(!ok || ended != 0 || strcmp(lines.out, "out\n") != 0 ||
              strcmp(lines.errs, "err\n") != 0);
    }
    int how;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_int_equal(how, 0);
}

static void
test_environment_and_state_of_the_child(void **state)
{
    (void)state;
    char path[] = "PATH=/usr/bin:/bin", one[] = "ONE=1";
    char *argv[] = {(char[]){"env"}, NULL}, *envp[] = {path, one, NULL};
    assert_true(run_spec((ChildSpec){.argv = argv, .envp = envp}));
    assert_string_equal(lines.out, "PATH=/usr/bin:/bin\nONE=1\n");
    lines = (Lines){0};
    /* Signals as lockstep itself found them, and a group of its own. */
    assert_true(
        shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; ps -o pgid= -p $$ >/dev/null 2>&1; "
              "read -r pid name state parent group rest </proc/$$/stat; [ $group = $$ ]",
              1000, 0));
    assert_int_equal(status, 0);
    assert_string_equal(lines.out, at_start);
}

static void
test_cannot_start(void **state)
{
    (void)state;
    char *absent[] = {(char[]){"no-such-program-here"}, NULL};
    assert_false(run_spec((ChildSpec){.argv = absent}));
    assert_int_equal(err.code, ERROR_FAILED);
    assert_string_equal(err.message, "'no-such-program-here' is not there, or cannot be executed");
    char path[] = "/tmp/test_proc.XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "#!/no/such/interpreter\n", 23), 23);
    fchmod(fd, 0700);
    close(fd);
    char *script[] = {path, NULL};
    error_clear(&err);
    assert_false(run_spec((ChildSpec){.argv = script}));
    assert_non_null(strstr(err.message, "cannot start"));
    assert_non_null(strstr(err.message, "No such file"));
    unlink(path);
    char *cat[] = {(char[]){"cat"}, NULL};
    error_clear(&err);
    assert_false(run_spec((ChildSpec){.argv = cat, .stdin_path = path}));
    assert_non_null(strstr(err.message, path));
    assert_int_equal(status, -1);
    assert_true(nobody_left());
}

/* ---- read as it comes ---- */

static ChildSpec open_spec;

static Child *
open_shell(const char *script, int64_t timeout_ms)
{
    Child *child = NULL;
    char **argv = arena_array(arena, char *, 4);
    argv[0] = str_dup(arena, STR("sh"));
    argv[1] = str_dup(arena, STR("-c"));
    argv[2] = str_dup(arena, str_of(script));
    open_spec = (ChildSpec){.argv = argv,
                            .envp = environ,
                            .stdout_fd = -1,
                            .line = on_line,
                            .line_ctx = &lines,
                            .grace_ms = 200,
                            .timeout_ms = timeout_ms};
    assert_true(child_open(arena, &w, &open_spec, &child, &err));
    return child;
}

static void
test_read_to_the_end(void **state)
{
    (void)state;
    Child *child = open_shell("echo to stderr >&2; head -c 3000000 /dev/zero; exit 7", 0);
    char buf[10000];
    size_t n, all = 0;
    do {
        assert_true(child_read(child, buf, sizeof buf, &n, &err));
        all += n;
    } while (n);
    assert_true(child_read(child, buf, sizeof buf, &n, &err) && n == 0);
    assert_true(child_close(child, &status, &err));
    assert_int_equal(all, 3000000);
    assert_int_equal(status, 7);
    assert_string_equal(lines.errs, "to stderr\n");
    assert_string_equal(lines.out, "");
    assert_true(nobody_left());
}

/* What is not wanted is ended, by KILL if it must be; what is left behind too. */
static void
test_read_in_part(void **state)
{
    (void)state;
    static const char *const scripts[] = {"yes", "trap '' TERM PIPE; yes | cat; sleep 100",
                                          "sleep 100 & yes", "exec >/dev/null; sleep 100 &"};
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        Child *child = open_shell(scripts[i], 0);
        char buf[4];
        size_t n;
        assert_true(child_read(child, buf, sizeof buf, &n, &err));
        assert_int_equal(n, i == 3 ? 0 : 4);
        assert_true(child_close(child, &status, &err));
        assert_true(nobody_left());
    }
}

static void
test_read_is_stopped(void **state)
{
    (void)state;
    char buf[4];
    size_t n;
    Child *child = open_shell("sleep 100", 0);
    signal_soon(SIGTERM, 200);
    assert_false(child_read(child, buf, sizeof buf, &n, &err));
    assert_int_equal(err.code, ERROR_SIGNALLED);
    Error again = ERROR_INIT;
    /* It may have ended before anybody had to wait for it. */
    assert_true(child_close(child, &status, &again) || again.code == ERROR_SIGNALLED);
    assert_int_equal(w.signal_caught, SIGTERM);
    assert_true(nobody_left());
    w.signal_caught = 0;
    err = ERROR_INIT;
    child = open_shell("sleep 100", 100);
    assert_false(child_read(child, buf, sizeof buf, &n, &err));
    assert_non_null(strstr(err.message, "'sh' did not end within 100 ms"));
    again = ERROR_INIT;
    assert_true(child_close(child, &status, &again));
    assert_int_equal(status, 128 + SIGTERM);
    assert_true(nobody_left());
}

/* ---- families ---- */

/* The process whose number the script prints is gone. */
static void
assert_gone(void)
{
    long pid = strtol(lines.out, NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(kill((pid_t)pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_true(nobody_left());
}

static void
test_waits_for_what_ends_by_itself(void **state)
{
    (void)state;
    int64_t start = clock_ms();
    assert_true(shell("(sleep 0.3; echo late) & exit 4", 20000, 0));
    assert_int_equal(status, 4);
    assert_string_equal(lines.out, "late\n");
    assert_in_range(clock_ms() - start, 290, 10000);
    assert_true(nobody_left());
}

/* The child was in time; that the rest takes longer is no fault, and costs no processor time. */
static void
test_time_limit_is_the_childs(void **state)
{
    (void)state;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    assert_true(shell("(sleep 0.6; echo late) & exit 4", 20000, 200));
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(status, 4);
    assert_string_equal(lines.out, "late\n");
    int64_t used_ms = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000 +
                      (after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1000;
    assert_true(used_ms < 200);
}

static void
test_ends_what_is_left_behind(void **state)
{
    (void)state;
    assert_true(shell("sleep 100 & echo $!; exit 0", 100, 0));
    assert_int_equal(status, 0);
    assert_gone();
}

static void
test_ends_a_daemon(void **state)
{
    (void)state;
    /* A session of its own, its parent gone, its descriptors elsewhere, deaf to TERM. */
    assert_true(shell("setsid sh -c 'trap \"\" TERM HUP; echo $$; exec >/dev/null 2>&1; "
                      "while :; do sleep 1; done' & sleep 1",
                      100, 0));
    assert_gone();
}

/* A zombie that nobody reaps has no words any more. What was killed may take a moment to die. */
static bool
is_at_work(pid_t pid)
{
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    char path[64], word[16];
    size_t n = 1;
    snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
    for (int tries = 0; tries < 500 && n; tries++) {
        FILE *file = fopen(path, "re");
        n = file ? fread(word, 1, sizeof word, file) : 0;
        if (file)
            fclose(file);
        if (n)
            nanosleep(&moment, NULL);
    }
    return n > 0;
}

static void
test_lets_a_service_go(void **state)
{
    (void)state;
    /* The one in a session of its own goes on; the one in the group does not. */
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"},
                    (char[]){"setsid sh -c 'echo $$; exec sleep 100 >/dev/null 2>&1' & "
                             "sleep 100 >/dev/null 2>&1 & echo $!; sleep 1; exit 3"},
                    NULL};
    assert_true(run_spec((ChildSpec){.argv = argv, .grace_ms = 100, .lets_go = true}));
    assert_int_equal(status, 3);
    char *end;
    long one = strtol(lines.out, &end, 10), other = strtol(end, NULL, 10);
    assert_true(one > 1 && other > 1);
    bool service = getsid((pid_t)one) == (pid_t)one;
    pid_t lives = (pid_t)(service ? one : other), ended = (pid_t)(service ? other : one);
    assert_int_equal(getsid(lives), lives);
    assert_false(is_at_work(ended));
    assert_int_equal(kill(lives, SIGKILL), 0);
}

static void
test_signal_reaches_the_family(void **state)
{
    (void)state;
    lines.signal_at = 2;
    lines.signo = SIGTERM;
    int64_t start = clock_ms();
    /* The parent of the sleeping one does not pass anything on, like npm. */
    assert_false(
        shell("sh -c 'trap \"echo got; exit 0\" TERM; sleep 100 & sleep 0.3; echo $$; wait' & "
              "trap '' TERM; echo deaf >&2; wait; wait",
              20000, 0));
    assert_true(clock_ms() - start < 10000);
    assert_int_equal(err.code, ERROR_SIGNALLED);
    assert_int_equal(err.signal, SIGTERM);
    assert_int_equal(w.signal_caught, SIGTERM);
    assert_non_null(strstr(lines.out, "got\n"));
    assert_int_equal(status, -1);
    assert_gone();
}

static void
test_kill_after_grace(void **state)
{
    (void)state;
    lines.signal_at = 1;
    lines.signo = SIGINT;
    int64_t start = clock_ms();
    assert_false(shell("trap '' TERM INT; echo $$; while :; do sleep 1; done", 300, 0));
    assert_in_range(clock_ms() - start, 290, 10000);
    assert_int_equal(err.signal, SIGINT);
    assert_gone();
}

static void
test_stopped_child_is_ended(void **state)
{
    (void)state;
    signal_soon(SIGTERM, 300);
    int64_t start = clock_ms();
    assert_false(shell("echo $$; kill -STOP $$; exit 5", 20000, 0));
    assert_true(clock_ms() - start < 10000);
    assert_gone();
}

static void
test_timeout(void **state)
{
    (void)state;
    assert_false(shell("echo $$; exec sleep 100", 5000, 200));
    assert_int_equal(err.code, ERROR_FAILED);
    assert_string_equal(err.message, "'sh' did not end within 200 ms");
    assert_gone();
}

typedef struct Beat {
    int n, fail_at, stopping;
} Beat;

static bool
beat(void *ctx, Error *error)
{
    Beat *b = ctx;
    b->stopping += lines.signal_at && lines.n >= lines.signal_at;
    if (++b->n == b->fail_at)
        return error_set(error, ERROR_LOCKED, "the lock is lost");
    return true;
}

static void
test_lost_lock_kills_at_once(void **state)
{
    (void)state;
    Beat b = {.fail_at = 8};
    w.tick = (WaitTick){50, beat, &b};
    int64_t start = clock_ms();
    assert_false(shell("trap '' TERM; echo $$; while :; do sleep 1; done", 60000, 0));
    assert_true(clock_ms() - start < 10000);
    assert_int_equal(err.code, ERROR_LOCKED);
    assert_int_equal(w.cleaning, 0);
    assert_gone();
}

/* The lock must be kept for as long as somebody may write. */
static void
test_heartbeat_goes_on_during_grace(void **state)
{
    (void)state;
    Beat b = {0};
    w.tick = (WaitTick){50, beat, &b};
    lines.signal_at = 1;
    lines.signo = SIGTERM;
    assert_false(shell("trap '' TERM; echo $$; while :; do sleep 1; done", 1000, 0));
    assert_int_equal(err.code, ERROR_SIGNALLED);
    assert_in_range(b.stopping, 2, 30);
    assert_gone();
}

static int
reaping_reader(int fd)
{
    int signo = signals_read(fd);
    if (!signo)
        proc_reap();
    return signo;
}

static void
test_status_is_not_taken_away(void **state)
{
    (void)state;
    w.read_signal = reaping_reader;
    for (int i = 0; i < 20; i++) {
        assert_true(shell("exit 9", 1000, 0));
        assert_int_equal(status, 9);
    }
    assert_ptr_equal(w.read_signal, reaping_reader);
}

/* ---- signals ---- */

static void
test_signals(void **state)
{
    (void)state;
    static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        raise(ours[i]);
        assert_int_equal(signals_read(w.signal_fd), ours[i]);
    }
    raise(SIGCHLD);
    assert_int_equal(signals_read(w.signal_fd), 0);
    assert_int_equal(signals_read(w.signal_fd), 0);
    assert_string_equal(signals_name(SIGTERM), "SIGTERM");
    assert_string_equal(signals_name(SIGKILL), "SIGKILL");
    assert_string_equal(signals_name(63), "a signal");
    raise(SIGTERM);
    assert_false(wait_sleep(&w, 5000, &err));
    assert_int_equal(err.signal, SIGTERM);
}

static void
test_restore(void **state)
{
    (void)state;
    sigset_t mask;
    struct sigaction pipe_action;
    int again;
    assert_true(signals_open(&again, &err)); /* twice, and still the first is put back */
    close(again);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    assert_true(sigismember(&mask, SIGTERM));
    signals_restore();
    sigprocmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
    assert_false(sigismember(&mask, SIGCHLD));
    sigaction(SIGPIPE, NULL, &pipe_action);
    assert_ptr_equal(pipe_action.sa_handler, SIG_DFL);
}

/* ---- becoming a program ---- */

/* What comes out of a process that becomes argv; *ret_status its exit status. */
static char *
become(char *const *argv, char *const *envp, int *ret_status)
{
    int ends[2];
    char *text = arena_alloc(arena, 4096);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        Error error = ERROR_INIT;
        dup2(ends[1], STDOUT_FILENO);
        proc_become_reaper(true);
        (void)proc_exec(argv, envp, &error);
        _exit(error_exit_status(&error));
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(ends[0], text + n, 4095 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    int how;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    *ret_status = WEXITSTATUS(how);
    return text;
}

static void
test_exec(void **state)
{
    (void)state;
    int code;
    char *grep[] = {(char[]){"grep"}, (char[]){"-E"}, (char[]){"^Sig(Blk|Ign)"},
                    (char[]){"/proc/self/status"}, NULL};
    assert_string_equal(become(grep, environ, &code), at_start);
    char *exits[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 42"}, NULL};
    become(exits, environ, &code);
    assert_int_equal(code, 42);
}

static void
test_exec_fails(void **state)
{
    (void)state;
    int code;
    char *absent[] = {(char[]){"no-such-program-here"}, NULL};
    become(absent, environ, &code);
    assert_int_equal(code, 127);
    char *absent_path[] = {(char[]){"/no/such/program"}, NULL};
    become(absent_path, environ, &code);
    assert_int_equal(code, 127);
    char *folder[] = {(char[]){"/tmp"}, NULL};
    become(folder, environ, &code);
    assert_int_equal(code, 126);
    char *data[] = {(char[]){"/etc/passwd"}, NULL};
    become(data, environ, &code);
    assert_int_equal(code, 126);
    char *nothing[] = {(char[]){""}, NULL};
    become(nothing, environ, &code);
    assert_int_equal(code, 127);
}

static void
test_which(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_proc.XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *later = str_printf(arena, "%s/later", folder),
         *early = str_printf(arena, "%s/early", folder);
    mkdir(later, 0700);
    mkdir(early, 0700);
    char *blocked = str_printf(arena, "%s/tool", early),
         *good = str_printf(arena, "%s/tool", later);
    close(open(blocked, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    close(open(good, O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
    char *path = str_printf(arena, "PATH=/no/such:%s::%s", early, later);
    char *envp[] = {path, NULL}, *bare[] = {NULL};
    assert_string_equal(proc_which(arena, "tool", envp), good); /* the blocked one is passed over */
    assert_null(proc_which(arena, "tool2", envp));
    assert_null(proc_which(arena, blocked, envp));
    assert_string_equal(proc_which(arena, good, envp), good);
    assert_non_null(proc_which(arena, "sh", bare)); /* a usual PATH where there is none */
    assert_non_null(proc_which(arena, "sh", NULL));
    unlink(blocked);
    unlink(good);
    rmdir(later);
    rmdir(early);
    rmdir(folder);
}

/* Connected to `port` of the loopback; its own port in *ret_local. */
static int
connect_to(int port, unsigned *ret_local)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    *ret_local = ntohs(address.sin_port);
    return fd;
}

/* Whose connections are whose: of this process, of a grandchild; a listener has none. */
static void
test_ports(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), told[2];
    unsigned ours, theirs;
    ProcPorts ports;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    int port = ntohs(address.sin_port);
    proc_ports(arena, port, &ports);
    assert_true(str_eq(ports.own, STR("")) && str_eq(ports.family, STR("")));

    int fd = connect_to(port, &ours);
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        close(fd);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            connect_to(port, &theirs);
            if (write(told[1], &theirs, sizeof theirs) != sizeof theirs)
                _exit(1);
            pause();
        }
        waitpid(grandchild, NULL, 0);
        _exit(0);
    }
    assert_int_equal(read(told[0], &theirs, sizeof theirs), sizeof theirs);
    proc_ports(arena, port, &ports);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_string_equal(str_dup(arena, ports.own), str_printf(arena, "%u", ours));
    assert_string_equal(str_dup(arena, ports.family), str_printf(arena, "%u", theirs));
    int all[] = {fd, listener, told[0], told[1]};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        close(all[i]);
}

static void
note_start(void)
{
    SCRATCH_ARENA(scratch);
    Str text;
    Error error = ERROR_INIT;
    if (!fs_read(scratch, "/proc/self/status", 1 << 20, &text, &error))
        abort();
    size_t from = str_find_str(text, STR("SigBlk:"));
    Str mask = str_sub(text, from, text.n);
    snprintf(at_start, sizeof at_start, STR_FMT,
             STR_ARG(str_sub(mask, 0, str_find_str(mask, STR("SigCgt:")))));
}

int
main(void)
{
    /* What the test runner left open is not ours to count. */
    close_range(3, ~0U, 0);
    note_start();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_maskand_status),
        TEST(test_long_maskand_much_output),
        TEST(test_standard_descriptors),
        TEST(test_closed_descriptors),
        TEST(test_environment_and_state_of_the_child),
        TEST(test_cannot_start),
        TEST(test_read_to_the_end),
        TEST(test_read_in_part),
        TEST(test_read_is_stopped),
        TEST(test_waits_for_what_ends_by_itself),
        TEST(test_time_limit_is_the_childs),
        TEST(test_ends_what_is_left_behind),
        TEST(test_ends_a_daemon),
        TEST(test_lets_a_service_go),
        TEST(test_signal_reaches_the_family),
        TEST(test_kill_after_grace),
        TEST(test_stopped_child_is_ended),
        TEST(test_timeout),
        TEST(test_lost_lock_kills_at_once),
        TEST(test_heartbeat_goes_on_during_grace),
        TEST(test_status_is_not_taken_away),
        TEST(test_signals),
        TEST(test_restore),
        TEST(test_exec),
        TEST(test_exec_fails),
        TEST(test_which),
        TEST(test_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
