# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
cmake -S . -B build -DCMAKE_BUILD_TYPE=None -DCMAKE_SYSTEM_NAME=Linux \
    -DCMAKE_SYSTEM_PROCESSOR="$ARCH" -DCMAKE_C_COMPILER=musl-cc \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF >configure.log
make -s -j"$JOBS" -C build yaml
install_headers . include/yaml.h
install_archives build/libyaml.a
pkgconfig yaml-0.1 -lyaml
