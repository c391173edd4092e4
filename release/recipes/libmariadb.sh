# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Connector/C out of the server's tarball, with the usual ways to authenticate built in. CMake's look
# for curl is off because it would bring this machine's glibc headers in.
cmake -S . -B build -DCMAKE_BUILD_TYPE=None -DCMAKE_SYSTEM_NAME=Linux \
    -DCMAKE_SYSTEM_PROCESSOR="$ARCH" -DCMAKE_C_COMPILER=musl-cc \
    -DCMAKE_FIND_ROOT_PATH="$PREFIX" -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER \
    -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY \
    -DCMAKE_INSTALL_PREFIX=/usr -DINSTALL_PLUGINDIR=lib/mariadb/plugin \
    -DMARIADB_UNIX_ADDR=/run/mysqld/mysqld.sock \
    -DWITH_SSL=OPENSSL -DOPENSSL_USE_STATIC_LIBS=ON -DOPENSSL_ROOT_DIR="$PREFIX" \
    -DOPENSSL_INCLUDE_DIR="$PREFIX/include" -DOPENSSL_SSL_LIBRARY="$PREFIX/lib/libssl.a" \
    -DOPENSSL_CRYPTO_LIBRARY="$PREFIX/lib/libcrypto.a" \
    -DWITH_EXTERNAL_ZLIB=ON -DZLIB_INCLUDE_DIR="$PREFIX/include" -DZLIB_LIBRARY="$PREFIX/lib/libz.a" \
    -DWITH_UNIT_TESTS=OFF -DWITH_CURL=OFF -DCMAKE_DISABLE_FIND_PACKAGE_CURL=ON -DWITH_ICONV=OFF \
    -DCLIENT_PLUGIN_CLIENT_ED25519=STATIC -DCLIENT_PLUGIN_SHA256_PASSWORD=STATIC \
    -DCLIENT_PLUGIN_CACHING_SHA2_PASSWORD=STATIC -DCLIENT_PLUGIN_MYSQL_CLEAR_PASSWORD=STATIC \
    -DCLIENT_PLUGIN_DIALOG=OFF -DCLIENT_PLUGIN_ZSTD=OFF -DCLIENT_PLUGIN_REMOTE_IO=OFF -DREMOTEIO_PLUGIN_TYPE=OFF \
    -DCLIENT_PLUGIN_AUTH_GSSAPI_CLIENT=OFF >configure.log
make -s -j"$JOBS" -C build mariadbclient
install -D -m 644 "$(find build -name libmariadbclient.a)" "$PREFIX/lib/libmariadb.a"
install -d "$PREFIX/include/mariadb"
cp -R include/. "$PREFIX/include/mariadb/"
cp build/include/*.h "$PREFIX/include/mariadb/"
pkgconfig libmariadb -lmariadb "libssl zlib"
sed -i "s|^Cflags:.*|&/mariadb|" "$PREFIX/lib/pkgconfig/libmariadb.pc"
