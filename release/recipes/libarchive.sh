# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What an image holds is read from tar archives, plain or gzipped: of all else it can, nothing. What
# the program does not name (formats, writing, disks) the linker leaves out.
# A patch is newer than what autoconf made of its files; they are what they were.
for made in aclocal.m4 configure config.h.in Makefile.in; do touch "$made"; done
./configure --build="$BUILDER" --host="$HOST" --prefix=/usr --disable-shared --enable-static \
    --disable-bsdtar --disable-bsdcat --disable-bsdcpio --disable-bsdunzip \
    --disable-acl --disable-xattr --with-zlib --without-bz2lib --without-libb2 --without-iconv \
    --without-lz4 --without-zstd --without-lzma --without-cng --without-openssl --without-nettle \
    --without-mbedtls --without-xml2 --without-expat --disable-posix-regex-lib \
    --disable-dependency-tracking >configure.log
make -s -j"$JOBS" libarchive.la
install_headers . libarchive/archive.h libarchive/archive_entry.h
install_archives .libs/libarchive.a
pkgconfig libarchive -larchive zlib
