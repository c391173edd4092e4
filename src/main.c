/* SPDX-License-Identifier: Apache-2.0 */
/* The process begins and ends here. */

#include "cmd/cmd.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/banned.h"

/* Started with a closed stdout or stderr, the next file opened would take its number, and results
 * or log lines would be written into a database. The wrong access mode keeps errors errors. */
static void
keep_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int
main(int argc, char **argv)
{
    keep_standard_descriptors();
    return cli_main(argc, argv, environ);
}
