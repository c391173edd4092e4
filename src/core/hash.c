/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums. The only user of OpenSSL's digests and of zlib. */

#include "core/hash.h"

#include <assert.h>
#include <openssl/evp.h>
#include <zlib.h>

#include "core/banned.h"

struct Hasher {
    EVP_MD_CTX *ctx;
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

static const EVP_MD *
kind_md(HashKind kind)
{
    return kind == HASH_SHA1 ? EVP_sha1() : kind == HASH_SHA256 ? EVP_sha256() : EVP_sha384();
}

char *
hash_hex(Arena *arena, HashKind kind, Str data)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int ok = EVP_Digest(data.p ? data.p : "", data.n, digest, &n, kind_md(kind), NULL);
    assert(ok == 1);
    (void)ok;
    return to_hex(arena, digest, n);
}

Hasher *
hasher_new(Arena *arena)
{
    Hasher *h = arena_make(arena, Hasher);
    h->ctx = EVP_MD_CTX_new();
    assert(h->ctx);
    EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL);
    return h;
}

void
hasher_add(Hasher *h, Str data)
{
    if (data.n)
        EVP_DigestUpdate(h->ctx, data.p, data.n);
}

char *
hasher_hex(Arena *arena, Hasher *h)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_DigestFinal_ex(h->ctx, digest, &n);
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
    return to_hex(arena, digest, n);
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
