/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of migration files share: listing, order, and the way to say "not known". */

#include "tools/files.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "proc/proc.h"

#include "core/banned.h"

bool
tool_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    const Tool *tool = project->tool;
    const ToolDetails *details = details_of(project);
    ToolFiles files = {0};
    if (details && details->elsewhere)
        files_unknown(arena, &files,
                      "its command line or configuration may put its migrations elsewhere");
    else if (!tool->files)
        files_unknown(arena, &files, "only %s itself can tell its migrations", tool->title);
    else if (!tool->files(arena, project, &files, err))
        return false;
    if (!files.known && !files.why)
        files_unknown(arena, &files, "only %s itself can tell its migrations", tool->title);
    *ret = files;
    return true;
}

bool
files_unknown(Arena *arena, ToolFiles *ret, const char *fmt, ...)
{
    char why[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    ret->known = false;
    ret->why = str_dup(arena, str_of(why));
    return true;
}

bool
files_list(Arena *arena, const char *dir, FsList *ret, ToolFiles *files)
{
    Error why = ERROR_INIT;
    if (fs_list(arena, dir, ret, &why))
        return true;
    files_unknown(arena, files, "%s", why.message);
    return false;
}

bool
files_text(Arena *arena, const char *path, Str *ret, ToolFiles *files)
{
    Error why = ERROR_INIT;
    if (fs_read(arena, path, TOOL_FILE_CEILING, ret, &why))
        return true;
    files_unknown(arena, files, "%s", why.message);
    return false;
}

ToolMigration *
files_add(Arena *arena, ToolFiles *files, Str id, Str name, const char *file)
{
    ToolMigration *m = vec_push(arena, &files->items);
    *m = (ToolMigration){.id = str_dup(arena, id),
                         .name = str_dup(arena, name),
                         .file = str_dup(arena, str_of(file))};
    m->version = m->id;
    return m;
}

const char *
files_dir(Arena *arena, const Project *project, ToolFiles *files)
{
    if (!project->migrations)
        files_unknown(arena, files, "the directory of its migrations is not known");
    return project->migrations;
}

/* ---- order ---- */

size_t
digits_at(Str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

static Str
without_zeros(Str digits)
{
    size_t zeros = 0;
    while (zeros < digits.n && digits.p[zeros] == '0')
        zeros++;
    return str_sub(digits, zeros, digits.n);
}

int
files_compare(const char *a, const char *b)
{
    Str x = str_of(*a == '/' ? a + 1 : a), y = str_of(*b == '/' ? b + 1 : b);
    size_t n = digits_at(x), m = digits_at(y);
    if (n && m) {
        Str left = without_zeros(str_sub(x, 0, n)), right = without_zeros(str_sub(y, 0, m));
        int order = left.n != right.n ? (left.n < right.n ? -1 : 1) : str_cmp(left, right);
        if (order)
            return order;
    }
    return str_cmp(x, y);
}

static int
compare_items(const void *a, const void *b)
{
    const ToolMigration *x = a, *y = b;
    return files_compare(x->id, y->id);
}

static bool
too_many(Arena *arena, ToolFiles *files)
{
    if (files->items.n <= TOOL_MIGRATIONS_MAX)
        return false;
    files_unknown(arena, files, "there are more than %d migrations", TOOL_MIGRATIONS_MAX);
    return true;
}

bool
files_by_name(Arena *arena, ToolFiles *files)
{
    if (too_many(arena, files))
        return true;
    if (files->items.n)
        qsort(files->items.p, files->items.n, sizeof *files->items.p, compare_items);
    files->known = true;
    return true;
}

/* ---- ids ---- */

typedef struct IndexPair {
    const char *id;
    size_t at;
} IndexPair;

static int
compare_pairs(const void *a, const void *b)
{
    const IndexPair *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

ToolIndex
index_new(Arena *arena, size_t n)
{
    return (ToolIndex){.ids = arena_array(arena, const char *, n + 1),
                       .at = arena_array(arena, size_t, n + 1)};
}

void
index_add(ToolIndex *index, const char *id, size_t at)
{
    index->ids[index->n] = id;
    index->at[index->n++] = at;
}

void
index_sort(Arena *arena, ToolIndex *index)
{
    IndexPair *pairs = arena_array(arena, IndexPair, index->n + 1);
    for (size_t i = 0; i < index->n; i++)
        pairs[i] = (IndexPair){index->ids[i], index->at[i]};
    qsort(pairs, index->n, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < index->n; i++) {
        index->ids[i] = pairs[i].id;
        index->at[i] = pairs[i].at;
    }
}

bool
index_find(const ToolIndex *index, const char *id, size_t *ret)
{
    size_t from = 0, to = index->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(index->ids[middle], id) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == index->n || strcmp(index->ids[from], id) != 0)
        return false;
    *ret = index->at[from];
    return true;
}

/* ---- dependencies ---- */

typedef enum Visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE } Visit;

typedef struct Walk {
    size_t item, next; /* which of its `after` comes next */
} Walk;

typedef struct Order {
    const ToolFiles *files;
    ToolIndex index; /* ids, and replaced ids where they have no file of their own */
    Visit *visits;
    size_t *sorted, n;
    Walk *stack;
} Order;

static ToolIndex
index_of_items(Arena *arena, const ToolFiles *files)
{
    size_t n = files->items.n;
    for (size_t i = 0; i < files->items.n; i++)
        n += files->items.p[i].replaced.n;
    ToolIndex own = index_new(arena, files->items.n), all = index_new(arena, n);
    for (size_t i = 0; i < files->items.n; i++) {
        index_add(&own, files->items.p[i].id, i);
        index_add(&all, files->items.p[i].id, i);
    }
    index_sort(arena, &own);
    for (size_t i = 0; i < files->items.n; i++) {
        const ToolMigration *m = &files->items.p[i];
        size_t there;
        for (size_t k = 0; k < m->replaced.n; k++) {
            if (!index_find(&own, m->replaced.p[k], &there))
                index_add(&all, m->replaced.p[k], i);
        }
    }
    index_sort(arena, &all);
    return all;
}

/* Without recursion: a history may be one chain of many thousands. False = a circle. */
static bool
visit(Order *o, size_t start)
{
    size_t depth = 0;
    if (o->visits[start] == VISIT_DONE)
        return true;
    o->stack[depth++] = (Walk){start, 0};
    o->visits[start] = VISIT_OPEN;
    while (depth) {
        Walk *top = &o->stack[depth - 1];
        const ToolMigration *m = &o->files->items.p[top->item];
        size_t before;
        if (top->next == m->after.n) {
            o->visits[top->item] = VISIT_DONE;
            o->sorted[o->n++] = top->item;
            depth--;
            continue;
        }
        if (!index_find(&o->index, m->after.p[top->next++], &before) || before == top->item ||
            o->visits[before] == VISIT_DONE)
            continue;
        if (o->visits[before] == VISIT_OPEN)
            return false;
        o->visits[before] = VISIT_OPEN;
        o->stack[depth++] = (Walk){before, 0};
    }
    return true;
}

bool
files_by_dependency(Arena *arena, ToolFiles *files)
{
    if (too_many(arena, files))
        return true;
    SCRATCH_ARENA(scratch);
    size_t n = files->items.n;
    Order o = {.files = files,
               .index = index_of_items(scratch, files),
               .visits = arena_array(scratch, Visit, n + 1),
               .sorted = arena_array(scratch, size_t, n + 1),
               .stack = arena_array(scratch, Walk, n + 1)};
    for (size_t i = 0; i < n; i++) {
        if (!visit(&o, i))
            return files_unknown(arena, files, "its migrations depend on each other in a circle");
    }
    ToolMigration *sorted = arena_array(arena, ToolMigration, n + 1);
    for (size_t i = 0; i < n; i++)
        sorted[i] = files->items.p[o.sorted[i]];
    files->items.p = sorted;
    files->items.size = n;
    files->known = true;
    return true;
}

/* ---- Python's places ---- */

char *
started_program(Arena *arena, const Project *project)
{
    const char *word = project->apply ? project->apply[0] : NULL;
    if (!word)
        return NULL;
    if (!strchr(word, '/'))
        return proc_which(arena, word, project->environ_);
    return fs_kind(word) == FS_FILE ? str_dup(arena, str_of(word)) : NULL;
}

static void
add_root(Arena *arena, Words *roots, const char *dir)
{
    if (fs_kind(dir) != FS_DIR)
        return;
    for (size_t i = 0; i < roots->n; i++) {
        if (strcmp(roots->p[i], dir) == 0)
            return;
    }
    *vec_push(arena, roots) = str_dup(arena, str_of(dir));
}

/* prefix/lib/python3.11/site-packages and Debian's dist-packages. */
static void
add_prefix(Arena *arena, Words *roots, const char *prefix)
{
    static const char *const libs[] = {"lib", "lib64", "local/lib"};
    for (size_t i = 0; i < COUNT_OF(libs); i++) {
        Error ignored = ERROR_INIT;
        FsList list = {0};
        const char *lib = fs_join(arena, prefix, libs[i]);
        if (fs_kind(lib) != FS_DIR || !fs_list_names(arena, lib, &list, &ignored))
            continue;
        for (size_t k = 0; k < list.n; k++) {
            if (!str_starts(str_of(list.p[k].name), STR("python3")))
                continue;
            const char *python = fs_join(arena, lib, list.p[k].name);
            add_root(arena, roots, fs_join(arena, python, "site-packages"));
            add_root(arena, roots, fs_join(arena, python, "dist-packages"));
        }
    }
}

/* Two names up: "/app/venv" of "/app/venv/bin/python". NULL: it does not stand in a "bin". */
static char *
prefix_of(Arena *arena, const char *program)
{
    const char *slash = strrchr(program, '/');
    Str bin = {program, slash ? (size_t)(slash - program) : 0};
    if (str_eq(bin, STR("bin")))
        return str_dup(arena, STR("."));
    if (!str_ends(bin, STR("/bin")))
        return NULL;
    bin.n -= 4;
    return str_dup(arena, bin.n ? bin : STR("/"));
}

static bool
add_program(Arena *arena, Words *roots, const char *program)
{
    char real[PATH_MAX];
    const char *named = program ? prefix_of(arena, program) : NULL;
    if (!named)
        return false;
    add_prefix(arena, roots, named);
    const char *linked = realpath(program, real) ? prefix_of(arena, real) : NULL;
    if (linked && strcmp(linked, named) != 0)
        add_prefix(arena, roots, linked);
    return true;
}

Words
python_roots(Arena *arena, const Project *project)
{
    Words roots = {0};
    Str path = str_of(env_get(project->environ_, "PYTHONPATH"));
    while (path.n) {
        size_t colon = str_find(path, ':');
        if (colon)
            add_root(arena, &roots, str_dup(arena, str_sub(path, 0, colon)));
        path = str_sub(path, colon + 1, path.n);
    }
    if (!add_program(arena, &roots, started_program(arena, project)) &&
        !add_program(arena, &roots, proc_which(arena, "python3", project->environ_))) {
        const char *venv = env_get(project->environ_, "VIRTUAL_ENV");
        const char *own[] = {fs_join(arena, project->dir, "venv"),
                             fs_join(arena, project->dir, ".venv"), "/usr/local", "/usr"};
        if (venv)
            add_prefix(arena, &roots, venv);
        for (size_t i = 0; i < COUNT_OF(own); i++)
            add_prefix(arena, &roots, own[i]);
    }
    const char *home = env_get(project->environ_, "HOME");
    if (home)
        add_prefix(arena, &roots, fs_join(arena, home, ".local"));
    return roots;
}
