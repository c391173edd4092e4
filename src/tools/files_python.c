/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations of Alembic (and Flask-Migrate) and of yoyo: what their modules say at the top. */

#include <string.h>

#include "core/env.h"
#include "tools/files.h"
#include "tools/python.h"

#include "core/banned.h"

/* ---- Alembic ---- */

typedef struct Revision {
    PyValue revision, down, labels, depends;
    Str name; /* first line of the module's text */
} Revision;

static Str
first_line(Str text)
{
    text = str_trim(text);
    return str_trim(str_sub(text, 0, str_find(text, '\n')));
}

static void
read_revision(Arena *arena, const PyLines *lines, Revision *ret)
{
    PyValue none = {.kind = PY_NONE};
    Revision r = {.revision = none, .down = none, .labels = none, .depends = none};
    if (lines->n && lines->p[0].n == 1 && lines->p[0].tokens[0].kind == PY_STRING)
        r.name = first_line(lines->p[0].tokens[0].text);
    for (size_t i = 0; i < lines->n; i++) {
        Str name;
        bool adds;
        size_t at;
        if (lines->p[i].indent || !py_assignment(&lines->p[i], &name, &adds, &at))
            continue;
        PyValue *which = str_eq(name, STR("revision"))        ? &r.revision
                         : str_eq(name, STR("down_revision")) ? &r.down
                         : str_eq(name, STR("branch_labels")) ? &r.labels
                         : str_eq(name, STR("depends_on"))    ? &r.depends
                                                              : NULL;
        if (which)
            *which = adds ? (PyValue){.kind = PY_OTHER} : py_value(arena, &lines->p[i], at, NULL);
    }
    *ret = r;
}

/* What cannot be told by the ids of the files alone. */
typedef struct Alembic {
    Arena *arena;
    ToolFiles *files;
    Words downs; /* every down_revision there is */
    PyNames labels;
} Alembic;

static bool
push_texts(Arena *arena, const PyValue *value, Words *ret)
{
    Str *texts;
    size_t n;
    if (!py_texts(arena, value, &texts, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        *vec_push(arena, ret) = str_dup(arena, texts[i]);
    return true;
}

static bool
add_revision(Alembic *a, const char *path)
{
    SCRATCH_ARENA(scratch);
    PyLines lines;
    Revision r;
    Str text;
    Words labels = {0};
    if (!files_text(a->arena, path, &text, a->files))
        return false;
    if (!py_lines(scratch, text, &lines)) {
        files_unknown(a->arena, a->files, "'%s' cannot be read as Python", path);
        return false;
    }
    read_revision(scratch, &lines, &r);
    if (r.revision.kind == PY_NONE) {
        /* Alembic takes every module here for one: it may be said in another way. */
        files_unknown(a->arena, a->files, "'%s' does not say plainly which revision it is", path);
        return false;
    }
    ToolMigration m = {0};
    bool ok = r.revision.kind == PY_TEXT && r.revision.text.n &&
              push_texts(a->arena, &r.down, &m.after) && push_texts(scratch, &r.labels, &labels);
    size_t downs = m.after.n;
    ok = ok && push_texts(a->arena, &r.depends, &m.after);
    if (!ok) {
        files_unknown(a->arena, a->files, "'%s' computes what it follows", path);
        return false;
    }
    ToolMigration *added = files_add(a->arena, a->files, r.revision.text, r.name, path);
    added->after = m.after;
    for (size_t i = 0; i < downs; i++)
        *vec_push(a->arena, &a->downs) = m.after.p[i];
    for (size_t i = 0; i < labels.n; i++)
        py_assign(a->arena, &a->labels, str_of(labels.p[i]),
                  (PyValue){.kind = PY_TEXT, .text = str_of(added->id)});
    return true;
}

static bool
add_versions(Alembic *a, const char *dir)
{
    FsList list;
    if (!files_list(a->arena, dir, &list, a->files))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.p[i].name);
        if (list.p[i].target_kind != FS_FILE || !str_ends(name, STR(".py")) ||
            str_starts(name, STR(".#")) || str_starts(name, STR("__init__")))
            continue;
        if (a->files->items.n > TOOL_MIGRATIONS_MAX) {
            files_unknown(a->arena, a->files, "there are too many migrations in '%s'", dir);
            return false;
        }
        if (!add_revision(a, fs_join(a->arena, dir, name.p)))
            return false;
    }
    return true;
}

/* Every id that is named must be there: an abbreviation, a label of an unknown branch or a file
 * that is missing is for Alembic to judge. A label stands for its revision. */
static bool
link_revisions(Alembic *a)
{
    SCRATCH_ARENA(scratch);
    ToolIndex index = index_new(scratch, a->files->items.n);
    for (size_t i = 0; i < a->files->items.n; i++)
        index_add(&index, a->files->items.p[i].id, i);
    index_sort(scratch, &index);
    for (size_t i = 1; i < index.n; i++) {
        if (strcmp(index.ids[i - 1], index.ids[i]) == 0) {
            files_unknown(a->arena, a->files, "two files have the revision '%s'", index.ids[i]);
            return false;
        }
    }
    for (size_t i = 0; i < a->files->items.n; i++) {
        ToolMigration *m = &a->files->items.p[i];
        for (size_t k = 0; k < m->after.n; k++) {
            size_t at;
            const PyValue *label = py_lookup(&a->labels, str_of(m->after.p[k]));
            if (label && !index_find(&index, m->after.p[k], &at))
                m->after.p[k] = str_dup(a->arena, label->text);
            if (!index_find(&index, m->after.p[k], &at)) {
                files_unknown(a->arena, a->files, "'%s' follows '%s', which is not there", m->id,
                              m->after.p[k]);
                return false;
            }
        }
    }
    return true;
}

static void
find_heads(Alembic *a)
{
    SCRATCH_ARENA(scratch);
    ToolIndex downs = index_new(scratch, a->downs.n);
    for (size_t i = 0; i < a->downs.n; i++)
        index_add(&downs, a->downs.p[i], i);
    index_sort(scratch, &downs);
    for (size_t i = 0; i < a->files->items.n; i++) {
        size_t at;
        if (!index_find(&downs, a->files->items.p[i].id, &at))
            *vec_push(a->arena, &a->files->heads) = a->files->items.p[i].id;
    }
}

bool
alembic_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const ToolDetails *details = details_of(project);
    Alembic a = {.arena = arena, .files = ret};
    if (details && details->versions.n) {
        for (size_t i = 0; i < details->versions.n; i++) {
            if (!add_versions(&a, details->versions.p[i]))
                return true;
        }
    } else {
        const char *dir = files_dir(arena, project, ret);
        const char *versions = dir ? fs_join(arena, dir, "versions") : NULL;
        if (!dir || !add_versions(&a, fs_kind(versions) == FS_DIR ? versions : dir))
            return true;
    }
    if (!link_revisions(&a))
        return true;
    find_heads(&a);
    return files_by_dependency(arena, ret);
}

/* ---- yoyo ---- */

/* "-- depends: a b" in the comments that a file of SQL begins with. */
static void
read_sql_depends(Arena *arena, Str text, Words *ret)
{
    for (Str line; text_line(&text, &line);) {
        line = str_trim(line);
        if (!str_starts(line, STR("--")))
            return;
        line = str_trim(str_sub(line, 2, line.n));
        if (!str_starts(line, STR("depends:")))
            continue;
        line = str_trim(str_sub(line, 8, line.n));
        while (line.n) {
            size_t end = 0;
            while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
                end++;
            *vec_push(arena, ret) = str_dup(arena, str_sub(line, 0, end));
            line = str_trim(str_sub(line, end, line.n));
        }
    }
}

static bool
read_yoyo(Arena *arena, const char *path, bool sql, Words *ret, ToolFiles *files)
{
    SCRATCH_ARENA(scratch);
    Str text;
    PyLines lines;
    if (!files_text(arena, path, &text, files))
        return false;
    if (sql) {
        read_sql_depends(arena, text, ret);
        return true;
    }
    if (!py_lines(scratch, text, &lines)) {
        files_unknown(arena, files, "'%s' cannot be read as Python", path);
        return false;
    }
    for (size_t i = 0; i < lines.n; i++) {
        Str name;
        bool adds;
        size_t at;
        if (lines.p[i].indent || !py_assignment(&lines.p[i], &name, &adds, &at) ||
            !str_eq(name, STR("__depends__")))
            continue;
        PyValue value = py_value(scratch, &lines.p[i], at, NULL);
        if (adds || !push_texts(arena, &value, ret)) {
            files_unknown(arena, files, "'%s' computes what it depends on", path);
            return false;
        }
    }
    return true;
}

static bool
add_yoyo_dir(Arena *arena, const char *dir, ToolFiles *files)
{
    FsList list;
    if (!files_list(arena, dir, &list, files))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.p[i].name);
        bool sql = str_ends(name, STR(".sql")), python = str_ends(name, STR(".py"));
        if (list.p[i].target_kind != FS_FILE || (!sql && !python) ||
            str_ends(name, STR(".rollback.sql")) || str_starts(name, STR("post-apply")) ||
            str_starts(name, STR("__init__")))
            continue;
        if (files->items.n > TOOL_MIGRATIONS_MAX) {
            files_unknown(arena, files, "there are too many migrations in '%s'", dir);
            return false;
        }
        Str id = str_sub(name, 0, name.n - (sql ? 4 : 3));
        const char *path = fs_join(arena, dir, name.p);
        Words after = {0};
        if (!read_yoyo(arena, path, sql, &after, files))
            return false;
        files_add(arena, files, id, id, path)->after = after;
    }
    return true;
}

bool
yoyo_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const ToolDetails *details = details_of(project);
    if (details && details->versions.n) {
        for (size_t i = 0; i < details->versions.n; i++) {
            if (!add_yoyo_dir(arena, details->versions.p[i], ret))
                return true;
        }
        return files_by_dependency(arena, ret);
    }
    const char *dir = files_dir(arena, project, ret);
    if (!dir || !add_yoyo_dir(arena, dir, ret))
        return true;
    return files_by_dependency(arena, ret);
}
