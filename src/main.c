/* SPDX-License-Identifier: Apache-2.0 */
/* The process begins and ends here. */

#include "cmd/cmd.h"

#include <unistd.h>

#include "core/banned.h"

int
main(int argc, char **argv)
{
    return cli_main(argc, argv, environ);
}
