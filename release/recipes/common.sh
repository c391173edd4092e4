# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced before every recipe, in its unpacked source. PREFIX, JOBS, VERSION, SOURCE_DATE_EPOCH and
# what release/arch.py knows of the target are set; PATH begins with the folder of musl-cc, which
# knows the flags, and of musl-ar and its like. Every configure script is told that it builds for
# another machine, so that it runs nothing it has built: the answers are the same on any.
set -euo pipefail
export CC=musl-cc AR=musl-ar RANLIB=musl-ranlib NM=musl-nm OBJCOPY=musl-objcopy STRIP=musl-strip
export LC_ALL=C TZ=UTC
BUILDER=$(gcc -dumpmachine)
export BUILDER

install_headers() { # FOLDER FILE...
    install -d "$PREFIX/include/$1"
    local into=$1
    shift
    install -m 644 "$@" "$PREFIX/include/$into"
}

install_archives() { install -D -m 644 -t "$PREFIX/lib" "$@"; }

# A pkg-config file of our own for each library: all alike, with nothing of this machine in it but
# the prefix, which pkg-config itself puts in.
pkgconfig() { # NAME LIBS [REQUIRES]
    install -d "$PREFIX/lib/pkgconfig"
    cat >"$PREFIX/lib/pkgconfig/$1.pc" <<END
prefix=\${pcfiledir}/../..
Name: $1
Description: $1 of the release build
Version: $VERSION
Requires: ${3:-}
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib $2
END
}

# One object out of archives that shows only the named symbols: libpq and libpg_query both carry
# palloc, appendStringInfo, pg_snprintf and forty more, of different versions of PostgreSQL.
# --unique keeps one section a function, so that the last link still drops what nobody calls.
isolate() { # OUT.a SYMBOLS-FILE (wildcards) ARCHIVE...
    local out=$1 symbols=$2
    shift 2
    musl-ld -r --unique --whole-archive -o isolated.o "$@"
    musl-objcopy --wildcard --keep-global-symbols="$symbols" isolated.o
    rm -f "$out"
    musl-ar rcsD "$out" isolated.o
}
