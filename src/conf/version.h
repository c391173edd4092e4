/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Version of libyaml. */

#include "core/version.h"

void conf_libraries(Arena *arena, LibraryVersions *list);
