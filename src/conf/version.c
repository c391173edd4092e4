/* SPDX-License-Identifier: Apache-2.0 */
/* Version of libyaml. */

#include "conf/version.h"

#include <yaml.h>

#include "core/banned.h"

void
conf_libraries(Arena *arena, LibraryVersions *list)
{
    *vec_push(arena, list) = (LibraryVersion){"libyaml", yaml_get_version_string()};
}
