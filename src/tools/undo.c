/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which starts of a tool roll back: so many steps, or down to a version that stays. Most tools know
 * one step, some a target; Django knows targets within one app. What is rolled back is the newest
 * that the files know to be applied.
 */

#include <string.h>

#include "tools/files.h"

#include "core/banned.h"

typedef struct Undoing {
    Arena *arena;
    const Project *project;
    const ToolState *state;
    VEC(const ToolRow *) rows; /* that can be undone, oldest first */
    ToolUndo *ret;
} Undoing;

/* What stands in place of {name} in the words of a row of tools.def. */
typedef struct Values {
    const char *n, *to, *number, *from, *app, *name;
} Values;

/* ---- command lines ---- */

static char *
leading_digits(Arena *arena, const char *id)
{
    size_t n = strspn(id, "0123456789");
    return n ? str_dup(arena, (Str){id, n}) : str_dup(arena, str_of(id));
}

static char *
filled(Arena *arena, const char *word, const Values *v)
{
    const struct {
        const char *mark, *value;
    } marks[] = {{"{n}", v->n},       {"{to}", v->to},   {"{number}", v->number},
                 {"{from}", v->from}, {"{app}", v->app}, {"{name}", v->name}};
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        const char *at = strstr(word, marks[i].mark);
        if (at && marks[i].value)
            return str_printf(arena, "%.*s%s%s", (int)(at - word), word, marks[i].value,
                              at + strlen(marks[i].mark));
    }
    return str_dup(arena, str_of(word));
}

static void
add_start(Undoing *u, const char *words, Values values)
{
    char **argv = tool_command(u->arena, u->project, words);
    for (char **word = argv; *word; word++)
        *word = filled(u->arena, *word, &values);
    *vec_push(u->arena, &u->ret->starts) = argv;
}

static void
expect_gone(Undoing *u, const char *id)
{
    *vec_push(u->arena, &u->ret->versions) = str_dup(u->arena, str_of(id));
}

/* ---- versions ---- */

/* "20240101000002" for 20240101000002_posts.js, "blog.0002" for blog.0002_posts. */
static bool
is_meant(const char *id, const char *said)
{
    size_t n = strlen(said);
    return strncmp(id, said, n) == 0 && (!id[n] || strchr("_-.", id[n]));
}

/* rows.n when it is not applied, or not clear. */
static size_t
find_row(const Undoing *u, const char *said)
{
    size_t found = u->rows.n;
    for (size_t i = 0; i < u->rows.n; i++) {
        const char *id = u->rows.p[i]->id;
        if (strcmp(id, said) == 0)
            return i;
        if (is_meant(id, said)) {
            if (found < u->rows.n)
                return u->rows.n;
            found = i;
        }
    }
    return found;
}

static bool
refuse_version(const char *to, Error *err)
{
    error_set(err, ERROR_USAGE, "version '%s' is not applied", to);
    return error_hint(err, "See `lockstep status` for the versions that are; 0 undoes all.");
}

static const ToolMigration *
item_of_row(const ToolFiles *files, const ToolRow *row)
{
    for (size_t i = 0; i < files->items.n; i++)
        if (strcmp(files->items.p[i].version, row->id) == 0)
            return &files->items.p[i];
    return NULL;
}

/* ---- tools with one line of versions ---- */

/* How many of the newest go; false: it cannot be told. */
static bool
count_of(const Undoing *u, int64_t steps, const char *to, size_t *ret, Error *err)
{
    size_t at;
    if (!to) {
        *ret = steps < (int64_t)u->rows.n ? (size_t)steps : u->rows.n;
        return true;
    }
    if (strcmp(to, "0") == 0) {
        *ret = u->rows.n;
        return true;
    }
    if (!u->state->files->known) {
        error_set(err, ERROR_USAGE, "only %s itself knows the order of its migrations",
                  u->project->tool->title);
        return error_hint(err, "Say how many to undo: --steps N.");
    }
    at = find_row(u, to);
    if (at == u->rows.n)
        return refuse_version(to, err);
    *ret = u->rows.n - at - 1;
    return true;
}

static void
add_starts(Undoing *u, size_t count, bool to)
{
    const Tool *tool = u->project->tool;
    size_t left = u->rows.n - count;
    const char *stays = left ? u->rows.p[left - 1]->id : "0", *from = u->rows.p[left]->id;
    Values values = {.n = str_printf(u->arena, "%zu", count),
                     .to = stays,
                     .number = leading_digits(u->arena, stays),
                     .from = from};
    const ToolMigration *oldest = item_of_row(u->state->files, u->rows.p[left]);
    if (oldest)
        values.from = oldest->id;
    if (!left && tool->undo_all)
        add_start(u, tool->undo_all, values);
    else if (tool->undo_to && (to || !tool->undo))
        add_start(u, tool->undo_to, values);
    else if (strchr(tool->undo, '{'))
        add_start(u, tool->undo, values);
    else
        for (size_t i = 0; i < count; i++)
            add_start(u, tool->undo, values);
    for (size_t i = left; i < u->rows.n && u->state->files->known; i++)
        expect_gone(u, u->rows.p[i]->id);
}

/* ---- Django: a target is of one app ---- */

static bool
is_of(const char *id, Str app)
{
    return str_starts(str_of(id), app) && id[app.n] == '.';
}

static Str
app_of(const char *id)
{
    return str_sub(str_of(id), 0, str_find(str_of(id), '.'));
}

/* Down to `stays`, "blog.0002_posts" or "blog.zero". */
static void
add_django_start(Undoing *u, const char *stays)
{
    Str app = app_of(stays);
    add_start(u, u->project->tool->undo_to,
              (Values){.app = str_dup(u->arena, app), .name = stays + app.n + 1});
}

static bool
django_to(Undoing *u, const char *to, Error *err)
{
    Str app = app_of(to);
    size_t at = find_row(u, to), before = u->ret->versions.n;
    bool zero = app.n < strlen(to) && strcmp(to + app.n, ".zero") == 0;
    if (app.n == strlen(to)) {
        error_set(err, ERROR_USAGE, "'%s' names no app: Django rolls back one app at a time", to);
        return error_hint(err, "Name app and migration that stays, as --to blog.0002_posts, or "
                               "--to blog.zero.");
    }
    if (!zero && at == u->rows.n)
        return refuse_version(to, err);
    for (size_t i = zero ? 0 : at + 1; i < u->rows.n; i++)
        if (is_of(u->rows.p[i]->id, app))
            expect_gone(u, u->rows.p[i]->id);
    if (u->ret->versions.n > before)
        add_django_start(u, zero ? to : u->rows.p[at]->id);
    return true;
}

/* The newest by when it was applied, of one moment the last in order. */
static size_t
newest(const Undoing *u, const bool *gone)
{
    size_t best = u->rows.n;
    for (size_t i = 0; i < u->rows.n; i++) {
        const char *at = u->rows.p[i]->applied_at, *then = NULL;
        if (best < u->rows.n)
            then = u->rows.p[best]->applied_at;
        if (!gone[i] && (!then || !at || strcmp(at, then) >= 0))
            best = i;
    }
    return best;
}

/* What comes directly before it in its app; NULL = nothing does. */
static const char *
before_in_app(const ToolMigration *m, Str app)
{
    for (size_t k = 0; k < m->after.n; k++)
        if (is_of(m->after.p[k], app))
            return m->after.p[k];
    return NULL;
}

/* Going back to `stays` undoes all that stands on it. */
static bool
stands_alone(const Undoing *u, const bool *gone, size_t self, const char *stays, Str app)
{
    for (size_t i = 0; i < u->rows.n; i++) {
        const ToolMigration *m = item_of_row(u->state->files, u->rows.p[i]);
        bool other = !gone[i] && i != self && m && is_of(m->id, app);
        for (size_t k = 0; other && k < m->after.n; k++)
            if (stays && strcmp(m->after.p[k], stays) == 0)
                return false;
        if (other && !stays)
            return false;
    }
    return true;
}

static bool
django_steps(Undoing *u, int64_t steps, Error *err)
{
    bool *gone = arena_array(u->arena, bool, u->rows.n + 1);
    for (size_t i = 0; i < u->rows.n && (int64_t)i < steps; i++) {
        size_t at = newest(u, gone);
        const char *id = u->rows.p[at]->id;
        const ToolMigration *m = item_of_row(u->state->files, u->rows.p[at]);
        Str app = app_of(id);
        const char *stays = before_in_app(m, app);
        if (!stands_alone(u, gone, at, stays, app)) {
            error_set(err, ERROR_USAGE, "'%s' cannot be undone alone: its app forks before it", id);
            return error_hint(err, "Name app and migration that stays with --to.");
        }
        gone[at] = true;
        expect_gone(u, id);
        add_django_start(u, stays ? stays : str_printf(u->arena, STR_FMT ".zero", STR_ARG(app)));
    }
    return true;
}

/* ---- all of it ---- */

static bool
can_undo(const Project *project, Error *err)
{
    const Tool *tool = project->tool;
    if (!tool->undo && !tool->undo_to)
        error_set(err, ERROR_USAGE, "lockstep does not know how %s rolls back", tool->title);
    else if (!project->prefix)
        error_set(err, ERROR_USAGE, "lockstep does not know how this command of %s rolls back",
                  tool->title);
    else
        return true;
    return error_hint(
        err, "Roll back with the tool's own command, or write a migration that undoes it.");
}

bool
tool_undo(Arena *arena,
          const Project *project,
          const ToolState *state,
          int64_t steps,
          const char *to,
          ToolUndo *ret,
          Error *err)
{
    bool django = project->tool == tool_row(TOOL_DJANGO);
    size_t count = 0;
    Undoing u = {.arena = arena, .project = project, .state = state, .ret = ret};
    *ret = (ToolUndo){0};
    if (!can_undo(project, err))
        return false;
    if (!to && steps < 1) {
        error_set(err, ERROR_USAGE, "cannot go back %lld steps", (long long)steps);
        return error_hint(err, "--steps is 1 or more.");
    }
    if (state->ahead.n) {
        error_set(err, ERROR_REFUSED,
                  "version %s is applied, but there is no file here that could undo it",
                  state->ahead.p[0].id);
        return error_hint(err, "Roll back with the image that has it.");
    }
    for (size_t i = 0; i < state->applied.n; i++)
        if (!state->files->known || item_of_row(state->files, &state->applied.p[i]))
            *vec_push(arena, &u.rows) = &state->applied.p[i];
    if (django)
        return to ? django_to(&u, to, err) : django_steps(&u, steps, err);
    if (!count_of(&u, steps, to, &count, err))
        return false;
    if (count)
        add_starts(&u, count, to != NULL);
    return true;
}
