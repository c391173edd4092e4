/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A directory of migrations that lives as long as one test. */

#include "folder_fixture.h"
#include "migrate/source.h"

typedef struct Fixture {
    Arena *arena;
    char dir[64];
    SourceOptions options;
    Source source;
    Error err;
} Fixture;

static inline int
fixture_setup(void **state)
{
    Arena *arena = arena_new();
    Fixture *f = arena_make(arena, Fixture);
    f->arena = arena;
    snprintf(f->dir, sizeof(f->dir), "/tmp/lockstep-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->options = (SourceOptions){.dir = f->dir, .dialect = SQL_POSTGRES};
    f->err = ERROR_INIT;
    *state = f;
    return 0;
}

static inline int
fixture_teardown(void **state)
{
    Fixture *f = *state;
    remove_tree(f->arena, f->dir);
    arena_free(f->arena);
    return 0;
}

static inline void
put_bytes(Fixture *f, const char *name, const void *bytes, size_t n)
{
    write_below(f->arena, f->dir, name, bytes, n);
}

static inline void
put(Fixture *f, const char *name, const char *text)
{
    put_bytes(f, name, text, strlen(text));
}

static inline void
clear(Fixture *f)
{
    remove_tree(f->arena, f->dir);
    assert_int_equal(mkdir(f->dir, 0755), 0);
}

/* Scans in the given format, NULL = recognised. */
static inline bool
scan(Fixture *f, const char *format)
{
    f->options.format = format;
    f->err = ERROR_INIT;
    return source_scan(f->arena, &f->options, &f->source, &f->err);
}

static inline void
scan_ok(Fixture *f, const char *format)
{
    if (!scan(f, format))
        fail_msg("%s", f->err.message);
}

static inline Migration *
load_ok(Fixture *f, size_t i)
{
    assert_true(i < f->source.migrations.n);
    Migration *m = &f->source.migrations.p[i];
    f->err = ERROR_INIT;
    if (!migration_load(f->arena, &f->source, m, &f->options, &f->err))
        fail_msg("%s:%zu:%zu: %s", f->err.file, f->err.line, f->err.column, f->err.message);
    return m;
}

/* Refused with exit status 2; every one of the words stands in message, file or hint. */
static inline void
refused(const Fixture *f, bool ok, const char *word)
{
    if (ok)
        fail_msg("accepted, expected '%s'", word);
    assert_int_equal(f->err.code, ERROR_USAGE);
    if (!strstr(f->err.message, word) && !strstr(f->err.file, word))
        fail_msg("'%s' not in '%s'", word, f->err.message);
    assert_true(f->err.hint[0]);
}

static inline void
scan_refused(Fixture *f, const char *format, const char *word)
{
    refused(f, scan(f, format), word);
}

static inline void
load_refused(Fixture *f, size_t i, const char *word)
{
    assert_true(i < f->source.migrations.n);
    Migration before = f->source.migrations.p[i];
    f->err = ERROR_INIT;
    bool ok =
        migration_load(f->arena, &f->source, &f->source.migrations.p[i], &f->options, &f->err);
    refused(f, ok, word);
    assert_memory_equal(&before, &f->source.migrations.p[i], sizeof(before));
}

/* One file, loaded or refused. */
static inline Migration *
load_text(Fixture *f, const char *format, const char *name, const char *text)
{
    clear(f);
    put(f, name, text);
    scan_ok(f, format);
    return load_ok(f, 0);
}

static inline void
text_refused(Fixture *f, const char *format, const char *name, const char *text, const char *word)
{
    clear(f);
    put(f, name, text);
    scan_ok(f, format);
    load_refused(f, 0, word);
}

static inline Str
statement(const Script *s, size_t i)
{
    assert_true(i < s->statements.n);
    const SqlStatement *st = &s->statements.p[i];
    return str_sub(s->body, st->offset, st->offset + st->length);
}

#define assert_str(str, text)                                                                      \
    do {                                                                                           \
        Str seen_ = (str);                                                                         \
        if (!str_eq(seen_, str_of(text)))                                                          \
            fail_msg("'" STR_FMT "' is not '%s'", STR_ARG(seen_), (text));                         \
    } while (0)
