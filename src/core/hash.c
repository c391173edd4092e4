/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums. The only user of OpenSSL's digests and of zlib. SHA-256 is on the way of every start,
 * and its old interface spares what the new one costs before its first byte: a millisecond to load
 * providers and openssl.cnf. */

#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/hash.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <zlib.h>

#include "core/banned.h"

struct Hasher {
    SHA256_CTX sha;
};

static char *
to_hex(Arena *arena, const unsigned char *digest, unsigned n)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = arena_alloc(arena, (size_t)n * 2 + 1);
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    return hex;
}

char *
hash_hex(Arena *arena, HashKind kind, Str data)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (kind == HASH_SHA256) {
        Hasher *h = hasher_new(arena);
        hasher_add(h, data);
        return hasher_hex(arena, h);
    }
    int ok = EVP_Digest(data.p ? data.p : "", data.n, digest, &n, EVP_sha384(), NULL);
    assert(ok == 1);
    (void)ok;
    return to_hex(arena, digest, n);
}

Hasher *
hasher_new(Arena *arena)
{
    Hasher *h = arena_make(arena, Hasher);
    SHA256_Init(&h->sha);
    return h;
}

void
hasher_add(Hasher *h, Str data)
{
    if (data.n)
        SHA256_Update(&h->sha, data.p, data.n);
}

char *
hasher_hex(Arena *arena, Hasher *h)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &h->sha);
    return to_hex(arena, digest, sizeof digest);
}

char *
hash_text_hex(Arena *arena, Str text)
{
    Hasher *h = hasher_new(arena);
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '\r')
            continue;
        hasher_add(h, str_sub(text, from, i));
        if (i + 1 >= text.n || text.p[i + 1] != '\n')
            hasher_add(h, STR("\n"));
        from = i + 1;
    }
    hasher_add(h, str_sub(text, from, text.n));
    return hasher_hex(arena, h);
}

uint32_t
hash_crc32(uint32_t start, Str data)
{
    return (uint32_t)crc32_z(start, (const unsigned char *)(data.p ? data.p : ""), data.n);
}
