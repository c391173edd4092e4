# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL's parser, with the copies of protobuf-c and xxhash that it brings along. Its -O3 -g is an
# override, so CFLAGS would lose.
make -s -j"$JOBS" libpg_query.a CC=musl-cc CFLAGS_OPT_LEVEL="-Os -g0"
printf '%s\n' 'pg_query_*' 'protobuf_c_*' >symbols
isolate libpg_query-alone.a symbols libpg_query.a
install -D -m 644 libpg_query-alone.a "$PREFIX/lib/libpg_query.a"
install_headers . pg_query.h
pkgconfig pg_query "-lpg_query -lm"
