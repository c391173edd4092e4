/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Certificate authorities to verify a server with. A static binary's OpenSSL looks where no
 * distribution keeps them, so that they are found here, once, for all engines.
 */

#include "db/url.h"

typedef struct CaOptions {
    const char *wanted; /* --ca: a file, PEM text, or "system"; NULL = not given */
    const char *bundle; /* SSL_CERT_FILE: what "system" means; NULL = the usual places */
    bool libpq_has_one; /* PGSSLROOTCERT or ~/.postgresql/root.crt: libpq finds it by itself */
} CaOptions;

/* The image's bundle; NULL = none of the usual places has one. */
const char *ca_system(const char *bundle);
/* Makes the URL name a file. Its own sslrootcert or ssl-ca counts before `wanted`; with neither, a
 * mode that verifies uses the image's bundle. ERROR_UNREACHABLE where there is none. PEM text stays
 * in memory, as a file under /proc of this process. */
bool ca_settle(Arena *arena, const CaOptions *options, DbUrl *url, Error *err) MUST_CHECK;
