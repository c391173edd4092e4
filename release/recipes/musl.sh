# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The C library and the specs with which gcc uses it. Debian's patch lets those make a static PIE.
# Its newer allocator gives single pages back to the kernel as soon as they are free: SQLite, whose
# schema is read anew after each change, then spends a third of its time in mmap.
CC="$TARGET_CC -Os -ffunction-sections -fdata-sections -ffile-prefix-map=$BUILD=/lockstep" \
    ./configure --prefix="$PREFIX" --disable-shared --enable-wrapper=gcc --with-malloc=oldmalloc >configure.log
make -j"$JOBS"
make install
# The kernel's own headers are no part of musl. They hold numbers and layouts, no code.
ln -sfn "$KERNEL_HEADERS/linux" "$PREFIX/include/linux"
ln -sfn "$KERNEL_HEADERS/asm-generic" "$PREFIX/include/asm-generic"
ln -sfn "$KERNEL_ASM_HEADERS/asm" "$PREFIX/include/asm"
