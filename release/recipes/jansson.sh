# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
cmake -S . -B build -DCMAKE_BUILD_TYPE=None -DCMAKE_SYSTEM_NAME=Linux \
    -DCMAKE_SYSTEM_PROCESSOR="$ARCH" -DCMAKE_C_COMPILER=musl-cc \
    -DJANSSON_BUILD_SHARED_LIBS=OFF -DJANSSON_BUILD_DOCS=OFF -DJANSSON_WITHOUT_TESTS=ON \
    -DJANSSON_EXAMPLES=OFF >configure.log
make -s -j"$JOBS" -C build jansson
install_headers . build/include/jansson.h build/include/jansson_config.h
install_archives build/lib/libjansson.a
pkgconfig jansson -ljansson
