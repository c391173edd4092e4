/* SPDX-License-Identifier: Apache-2.0 */
/* Children by their parent, as /proc tells it: the sub-reaper gets them, but no list of them. */

#include "proc/family.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base.h"
#include "core/banned.h"

/* Parent and group of a process; false when it is gone. The name in /proc/PID/stat may hold blanks
 * and brackets, so the fields are counted from the last bracket. */
static bool
read_stat(int proc, const char *pid, int *ret_parent, int *ret_group)
{
    char path[32], text[512];
    int n = snprintf(path, sizeof path, "%s/stat", pid);
    if (n < 0 || (size_t)n >= sizeof path)
        return false;
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    const char *fields = strrchr(text, ')');
    char state;
    return fields && sscanf(fields, ") %c %d %d", &state, ret_parent, ret_group) == 3;
}

/* A /proc of another PID namespace would name other processes. */
static bool
is_ours(void)
{
    char self[32];
    int pid;
    ssize_t n = readlink("/proc/self", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    return sscanf(self, "%d", &pid) == 1 && pid == getpid();
}

void
family_signal_strays(pid_t pgid, int signo)
{
    DIR *proc = is_ours() ? opendir("/proc") : NULL;
    if (!proc)
        return;
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        int pid, parent, group;
        if (sscanf(entry->d_name, "%d", &pid) != 1 || pid <= 1)
            continue;
        if (read_stat(dirfd(proc), entry->d_name, &parent, &group) && parent == getpid() &&
            group != pgid)
            kill(pid, signo);
    }
    closedir(proc);
}
