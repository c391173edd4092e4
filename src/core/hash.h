/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Checksums through OpenSSL and zlib. Results are lower-case hex in the arena. */

#include "core/str.h"

typedef enum HashKind { HASH_SHA256, HASH_SHA384 } HashKind;
char *hash_hex(Arena *arena, HashKind kind, Str data);
/* SHA-256 hex of the text with CRLF and lone CR read as LF: the checksum of lockstep_migrations. */
char *hash_text_hex(Arena *arena, Str text);
uint32_t hash_crc32(uint32_t start, Str data); /* IEEE; start with 0 */
typedef struct Hasher Hasher;                  /* SHA-256 over several pieces */
Hasher *hasher_new(Arena *arena);
void hasher_add(Hasher *h, Str data);
char *hasher_hex(Arena *arena, Hasher *h); /* ends it */
