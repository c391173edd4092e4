# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
CHOST=$HOST ./configure --static
make -j"$JOBS" libz.a
install_headers . zlib.h zconf.h
install_archives libz.a
pkgconfig zlib -lz
