/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Attributes and small macros that every file may use. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define CLEANUP(fn)            __attribute__((cleanup(fn)))
#define UNUSED                 __attribute__((unused))
#define NORETURN               __attribute__((noreturn))
#define COUNT_OF(a)            (sizeof(a) / sizeof((a)[0]))
