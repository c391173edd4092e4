# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced before every recipe, in its unpacked source. PREFIX, JOBS, HOST, VERSION and
# SOURCE_DATE_EPOCH are set; PATH begins with the folder of musl-cc, which knows the flags.
set -euo pipefail
export CC=musl-cc LC_ALL=C TZ=UTC

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
    ld -r --unique --whole-archive -o isolated.o "$@"
    objcopy --wildcard --keep-global-symbols="$symbols" isolated.o
    rm -f "$out"
    ar rcsD "$out" isolated.o
}
