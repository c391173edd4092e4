# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The amalgamation is made with this machine's compiler and tclsh; then it is one file. What changes
# the meaning of SQL is chosen as Debian does: a migration must run the same with either build.
CC=gcc ./configure --disable-readline --disable-tcl >configure.log
make sqlite3.c OPTS=-DSQLITE_ENABLE_UPDATE_DELETE_LIMIT >make.log
musl-cc -c sqlite3.c -o sqlite3.o \
    -DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_SHARED_CACHE \
    -DSQLITE_OMIT_DEPRECATED -DSQLITE_SECURE_DELETE -DSQLITE_ENABLE_COLUMN_METADATA \
    -DSQLITE_ENABLE_FTS3 -DSQLITE_ENABLE_FTS3_PARENTHESIS -DSQLITE_ENABLE_FTS3_TOKENIZER \
    -DSQLITE_ENABLE_FTS4 -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_MATH_FUNCTIONS \
    -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_UPDATE_DELETE_LIMIT -DSQLITE_SOUNDEX \
    -DSQLITE_ALLOW_ROWID_IN_VIEW -DSQLITE_LIKE_DOESNT_MATCH_BLOBS -DSQLITE_USE_URI=1 \
    -DSQLITE_MAX_SCHEMA_RETRY=25 -DSQLITE_MAX_VARIABLE_NUMBER=250000 -DHAVE_USLEEP=1
rm -f libsqlite3.a
"$AR" rcsD libsqlite3.a sqlite3.o
install_headers . sqlite3.h
install_archives libsqlite3.a
pkgconfig sqlite3 -lsqlite3
