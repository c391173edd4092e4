/* SPDX-License-Identifier: Apache-2.0 */
/* lockstep.yaml: read, or refused with a message that names file and line. */

#include "conf/settings.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    int fd = memfd_create("lockstep.yaml", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    char *path = str_printf(arena, "/proc/self/fd/%d", fd);
    char *environ_[] = {str_printf(arena, "LOCKSTEP_CONFIG=%s", path),
                        str_printf(arena, "LOCKSTEP_ENVIRONMENT=production"), NULL};
    FlagValues flags = {0};
    Settings settings = {0};

    if (settings_load(arena, &flags, environ_, &settings, &err)) {
        for (int id = 0; id < SET_COUNT; id++)
            if (setting_is_set(&settings, (SettingId)id) && settings.values[id].origin == NULL)
                abort();
    } else if (err.code != ERROR_USAGE || err.message[0] == '\0') {
        abort();
    }
    close(fd);
    return 0;
}
