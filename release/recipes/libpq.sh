# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The client library only. The _shlib archives are those that are meant to stand in libpq; the others
# end the process on an error.
# Its configure keeps what it was told for pg_config to print, and one object of it is linked: no
# path of this build may stand there. Nothing that is on here is looked for with pkg-config.
export PKG_CONFIG_LIBDIR=/nonexistent
./configure --build="$BUILDER" --host="$HOST" --prefix=/usr --sysconfdir=/etc \
    --with-ssl=openssl --without-readline --without-zlib --without-gssapi --without-ldap \
    --without-icu CFLAGS=-Os >configure.log
make -s -C src/backend generated-headers
make -s -j"$JOBS" -C src/common libpgcommon_shlib.a
make -s -j"$JOBS" -C src/port libpgport_shlib.a
make -s -j"$JOBS" -C src/interfaces/libpq all-static-lib
awk '!/^#/ && NF { print $1 }' src/interfaces/libpq/exports.txt >symbols
isolate libpq-alone.a symbols src/interfaces/libpq/libpq.a src/common/libpgcommon_shlib.a \
    src/port/libpgport_shlib.a
install -D -m 644 libpq-alone.a "$PREFIX/lib/libpq.a"
install_headers . src/interfaces/libpq/libpq-fe.h src/interfaces/libpq/libpq-events.h \
    src/include/postgres_ext.h src/include/pg_config_ext.h
pkgconfig libpq -lpq libssl
