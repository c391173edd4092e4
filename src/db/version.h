/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Versions of the client libraries of the engines that this build has. */

#include "core/version.h"

void db_libraries(Arena *arena, LibraryVersions *list);
