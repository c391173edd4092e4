/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A project of some tool, in a directory that lives as long as one test. */

#include "folder_fixture.h"
#include "tools/tool.h"

typedef struct Fixture {
    Arena *arena;
    char dir[64];
    char *environ_[8];
    Project project;
    ToolFiles files;
    Wait wait;
    Db *db;
    ToolState state;
    Error err;
} Fixture;

static inline int
fixture_setup(void **state)
{
    Arena *arena = arena_new();
    Fixture *f = arena_make(arena, Fixture);
    f->arena = arena;
    f->wait = wait_init();
    f->err = ERROR_INIT;
    snprintf(f->dir, sizeof f->dir, "/tmp/lockstep-tools-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->project = (Project){.dir = f->dir, .environ_ = f->environ_};
    *state = f;
    return 0;
}

static inline int
fixture_teardown(void **state)
{
    Fixture *f = *state;
    db_close(f->db);
    remove_tree(f->arena, f->dir);
    arena_free(f->arena);
    return 0;
}

static inline char *
at(Fixture *f, const char *name)
{
    return fs_join(f->arena, f->dir, name);
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
use(Fixture *f, const char *tool, const char *migrations)
{
    f->project.tool = tool_by_name(tool);
    assert_non_null(f->project.tool);
    f->project.migrations = migrations ? at(f, migrations) : NULL;
}

static inline void
read_files(Fixture *f)
{
    f->err = ERROR_INIT;
    if (!tool_files(f->arena, &f->project, &f->files, &f->err))
        fail_msg("%s", f->err.message);
}

/* The ids in their order, joined by blanks. */
static inline char *
ids(Fixture *f)
{
    StrBuf text = strbuf_new(f->arena, 65536);
    strbuf_puts(&text, "");
    for (size_t i = 0; i < f->files.items.n; i++)
        strbuf_printf(&text, "%s%s", i ? " " : "", f->files.items.p[i].id);
    return text.n ? text.p : str_dup(f->arena, STR(""));
}

static inline void
expect(Fixture *f, const char *expected)
{
    read_files(f);
    if (!f->files.known)
        fail_msg("not known: %s", f->files.why);
    assert_string_equal(ids(f), expected);
}

static inline void
expect_unknown(Fixture *f, const char *word)
{
    read_files(f);
    if (f->files.known)
        fail_msg("known: %s", ids(f));
    if (!strstr(f->files.why, word))
        fail_msg("'%s' not in '%s'", word, f->files.why);
}
