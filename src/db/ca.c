/* SPDX-License-Identifier: Apache-2.0 */
/* Where images keep their certificate authorities. */

#include "db/ca.h"

#include <string.h>

#include "core/fs.h"
#include "core/banned.h"

/* Debian, Ubuntu, Alpine, Arch and distroless; Red Hat's, old and new; SUSE; musl's own. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

const char *
ca_system(const char *bundle)
{
    if (bundle && bundle[0])
        return bundle;
    for (size_t i = 0; i < COUNT_OF(bundles); i++) {
        if (fs_kind(bundles[i]) == FS_FILE)
            return bundles[i];
    }
    return NULL;
}

static bool
refuse_without(Arena *arena, Error *err)
{
    StrBuf places = strbuf_new(arena, 1000);
    for (size_t i = 0; i < COUNT_OF(bundles); i++)
        strbuf_printf(&places, "%s%s", i ? ", " : "", bundles[i]);
    error_set(err, ERROR_UNREACHABLE,
              "the server's certificate cannot be verified: this image has no certificate "
              "authorities (looked for " STR_FMT ")",
              STR_ARG(strbuf_str(&places)));
    err->cls = ERROR_CLASS_LOGIN; /* waiting does not help */
    return error_hint(err, "Give the authority that signed it with --ca (LOCKSTEP_CA: a file, or "
                           "its PEM text), or install ca-certificates.");
}

static bool
verifies(const DbUrl *url)
{
    const char *mode = dburl_param(url, "sslmode");
    return url->engine == DB_POSTGRES && mode && strncmp(mode, "verify-", 7) == 0;
}

bool
ca_settle(Arena *arena, const CaOptions *options, DbUrl *url, Error *err)
{
    bool postgres = url->engine == DB_POSTGRES;
    const char *file = dburl_param(url, "sslrootcert");
    if (url->engine == DB_SQLITE)
        return true;
    if (!postgres)
        file = dburl_param(url, "ssl-ca")   ? dburl_param(url, "ssl-ca")
               : dburl_param(url, "ssl_ca") ? dburl_param(url, "ssl_ca")
                                            : file;
    if (!file)
        file = options->wanted;
    if (!file && verifies(url) && !options->libpq_has_one)
        file = "system";
    if (!file)
        return true;
    if (strcmp(file, "system") == 0) {
        file = ca_system(options->bundle);
        if (!file)
            return refuse_without(arena, err);
    } else if (strstr(file, "-----BEGIN CERTIFICATE-----")) {
        char *path;
        if (!fs_memory_file(arena, "lockstep-ca", str_of(file), &path, err))
            return error_wrap(err, "the certificate authority given as PEM text");
        file = path;
    } else if (fs_kind(file) != FS_FILE) {
        error_set(err, ERROR_UNREACHABLE, "the certificate authority '%s' is not there", file);
        err->cls = ERROR_CLASS_LOGIN;
        return error_hint(err, "Name a file in PEM, or `system` for the image's own bundle.");
    }
    *vec_push(arena, &url->params) =
        (DbParam){.name = str_dup(arena, postgres ? STR("sslrootcert") : STR("ssl-ca")),
                  .value = str_dup(arena, str_of(file))};
    return true;
}
