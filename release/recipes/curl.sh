# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# HTTP and HTTPS for notifications and nothing else. No CA file is built in: OpenSSL looks at
# SSL_CERT_FILE, SSL_CERT_DIR and /etc/ssl, unless the program names one.
./configure --build="$BUILDER" --host="$HOST" --prefix=/usr \
    --disable-shared --enable-static --with-openssl="$PREFIX" \
    --without-zlib --without-brotli --without-zstd --without-libpsl --without-libidn2 \
    --without-nghttp2 --without-librtmp --without-libssh2 --without-ca-bundle --without-ca-path \
    --with-ca-fallback \
    --disable-ldap --disable-ldaps --disable-rtsp --disable-dict --disable-telnet --disable-tftp \
    --disable-pop3 --disable-imap --disable-smb --disable-smtp --disable-gopher --disable-mqtt \
    --disable-ftp --disable-file --disable-ipfs --disable-websockets --disable-manual --disable-docs \
    --disable-ntlm --disable-kerberos-auth --disable-negotiate-auth --disable-aws --disable-netrc \
    --disable-cookies --disable-alt-svc --disable-hsts --disable-doh --disable-dependency-tracking \
    >configure.log
make -s -j"$JOBS" -C lib libcurl.la
install_headers curl include/curl/*.h
install_archives lib/.libs/libcurl.a
pkgconfig libcurl -lcurl libssl
