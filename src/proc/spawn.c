/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and becoming programs. */

#include "proc/proc.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/banned.h"

static const char *
path_of(char *const *envp)
{
    for (size_t i = 0; envp && envp[i]; i++) {
        if (strncmp(envp[i], "PATH=", 5) == 0)
            return envp[i] + 5;
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* First file of that name in PATH; one that cannot be executed only when there is no other. */
static char *
find_program(Arena *arena, const char *program, char *const *envp, bool *ret_executable)
{
    char *blocked = NULL;
    *ret_executable = false;
    if (strchr(program, '/')) {
        *ret_executable = fs_kind(program) == FS_FILE && access(program, X_OK) == 0;
        return fs_kind(program) == FS_ABSENT ? NULL : str_dup(arena, str_of(program));
    }
    Str path = str_of(path_of(envp));
    for (;;) {
        size_t end = str_find(path, ':');
        Str dir = str_sub(path, 0, end);
        char *full = fs_join(arena, dir.n ? str_dup(arena, dir) : ".", program);
        bool file = fs_kind(full) == FS_FILE;
        if (file && access(full, X_OK) == 0) {
            *ret_executable = true;
            return full;
        }
        if (!blocked && file)
            blocked = full;
        if (end == path.n)
            return blocked;
        path = str_sub(path, end + 1, path.n);
    }
}

char *
proc_which(Arena *arena, const char *program, char *const *envp)
{
    bool executable;
    char *full = find_program(arena, program, envp, &executable);
    return executable ? full : NULL;
}

bool
proc_exec(char *const *argv, char *const *envp, Error *err)
{
    SCRATCH_ARENA(scratch);
    bool executable;
    char *full = find_program(scratch, argv[0], envp, &executable);
    if (!full) {
        error_set(err, ERROR_NOT_FOUND, "'%s' is not there", argv[0]);
        return error_hint(err, "Give the program's path, or put its directory into PATH.");
    }
    if (!executable) {
        error_set(err, ERROR_NOT_EXECUTABLE, "'%s' cannot be executed", full);
        return error_hint(err, "Is it a file with the execute permission (chmod +x)?");
    }
    signals_restore();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    execve(full, argv, envp);
    int why = errno;
    if (why == ENOENT)
        return error_set_errno(err, ERROR_NOT_EXECUTABLE, why,
                               "'%s' cannot be executed: its interpreter or loader is missing",
                               full);
    return error_set_errno(err, ERROR_NOT_EXECUTABLE, why, "'%s' cannot be executed", full);
}
