# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# TLS, hashes and what certificates need. RIPEMD-160 stays: Connector/C names it without asking.
# Neutral folders: they end up in the binary.
# Ciphers for processors with AVX-512 are a tenth of the whole binary (0.7 MB), for gigabytes a second
# that no migration sends; the ones for AES-NI are used instead, as with an older assembler.
sed -i 's/^if (\$avx512vaes\(>0\)\?) {/if (0) {/' \
    crypto/modes/asm/aes-gcm-avx512.pl crypto/aes/asm/aesni-xts-avx512.pl
./Configure "$OPENSSL_TARGET" --prefix=/usr --libdir=lib --openssldir=/etc/ssl \
    no-shared no-dso no-module no-engine no-legacy no-tests no-comp no-ssl3 no-weak-ssl-ciphers \
    no-dtls no-srp no-srtp no-cms no-cmp no-ts no-ct no-ocsp no-gost no-aria no-bf no-camellia \
    no-cast no-idea no-md4 no-mdc2 no-rc2 no-rc4 no-seed no-sm2 no-sm3 no-sm4 no-whirlpool no-ec2m \
    no-dsa no-siv no-ocb no-rfc3779 no-nextprotoneg no-quic no-ml-kem no-ml-dsa no-slh-dsa \
    no-apps no-docs CC="$CC" AR="$AR" RANLIB="$RANLIB"
make -s build_generated
make -s -j"$JOBS" libcrypto.a libssl.a
install_headers openssl include/openssl/*.h
install_archives libcrypto.a libssl.a
pkgconfig libcrypto -lcrypto
pkgconfig libssl -lssl libcrypto
