/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals as a descriptor, and putting everything back before becoming another program. The mask
 * and the one changed disposition of the process's start are process-wide, like signals are.
 */

#include "proc/proc.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/banned.h"

static sigset_t first_mask;
static struct sigaction first_pipe;
static bool changed;

bool
signals_open(int *ret_fd, Error *err)
{
    sigset_t ours, mask;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGQUIT);
    sigaddset(&ours, SIGCHLD);
    int fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, ERROR_FAILED, errno, "cannot read signals (signalfd)");
    if (sigprocmask(SIG_BLOCK, &ours, &mask) != 0 || sigaction(SIGPIPE, &ignore, &old) != 0) {
        int why = errno;
        close(fd);
        return error_set_errno(err, ERROR_FAILED, why, "cannot block signals");
    }
    if (!changed) {
        first_mask = mask;
        first_pipe = old;
        changed = true;
    }
    *ret_fd = fd;
    return true;
}

int
signals_read(int fd)
{
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info || info.ssi_signo == SIGCHLD)
        return 0;
    return (int)info.ssi_signo;
}

const char *
signals_name(int signo)
{
    switch (signo) {
    case SIGHUP:
        return "SIGHUP";
    case SIGINT:
        return "SIGINT";
    case SIGQUIT:
        return "SIGQUIT";
    case SIGILL:
        return "SIGILL";
    case SIGABRT:
        return "SIGABRT";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGKILL:
        return "SIGKILL";
    case SIGSEGV:
        return "SIGSEGV";
    case SIGPIPE:
        return "SIGPIPE";
    case SIGTERM:
        return "SIGTERM";
    default:
        return "a signal";
    }
}

void
signals_restore(void)
{
    if (!changed)
        return;
    sigaction(SIGPIPE, &first_pipe, NULL);
    sigprocmask(SIG_SETMASK, &first_mask, NULL);
    changed = false;
}

void
proc_become_reaper(bool yes)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, yes ? 1 : 0, 0, 0, 0);
}

void
proc_reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}
