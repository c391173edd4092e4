/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Version of libarchive. */

#include "core/version.h"

void deploy_libraries(Arena *arena, LibraryVersions *list);
