/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tool a project uses. Every tool whose files are here is a candidate; one is taken, two are
 * named and refused: nothing is guessed between them. Nothing is started, nothing connected to.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc/proc.h"
#include "tools/adapters.h"
#include "core/banned.h"

typedef struct Looking {
    Arena *arena;
    const DetectOptions *options;
    const char *dir;
    const Package *package;
    const Tool *script_tool; /* that the script of package.json starts; NULL = not told, or none */
    Detection *found;
} Looking;

/* Files that many projects have and that say nothing about a tool without its package in them. */
static bool
is_common(const char *marker)
{
    static const char *const common[] = {"package.json", "pyproject.toml", "Gemfile", "mix.exs"};
    for (size_t i = 0; i < COUNT_OF(common); i++)
        if (strcmp(marker, common[i]) == 0)
            return true;
    return false;
}

static Project
new_project(const Looking *l, const Tool *tool, bool forced)
{
    ToolDetails *details = arena_make(l->arena, ToolDetails);
    *details =
        (ToolDetails){.package = l->package, .script_tool = l->script_tool, .forced = forced};
    return (Project){.tool = tool,
                     .dir = l->dir,
                     .environ_ = l->options->environ_,
                     .mode = str_dup(l->arena, str_of(l->options->mode)),
                     .schema = tool->schema,
                     .table = tool->table,
                     .details = details};
}

static bool
find_markers(const Looking *l, Project *project, bool *ret_any, Error *err)
{
    const Tool *tool = project->tool;
    for (size_t i = 0; i < TOOL_MARKERS && tool->markers[i]; i++) {
        char *found;
        if (!project_find(l->arena, project, tool->markers[i], &found, err))
            return false;
        if (!found)
            continue;
        *ret_any = true;
        if (!is_common(found))
            project_evidence(l->arena, project, found);
    }
    return true;
}

/* The command line and the details of a project whose files are here; *ret_is false: they were not
 * what they looked like. */
static bool
inspect(const Looking *l, Project *project, bool *ret_is, Error *err)
{
    const Tool *tool = project->tool;
    if (tool->apply && !(tool->flags & TOOL_GENERIC))
        project_command(l->arena, project, tool->apply);
    *ret_is = true;
    return !tool->inspect || tool->inspect(l->arena, project, ret_is, err);
}

/* Tools of other languages are started by their own program: a script of package.json beside them
 * is a short cut for people. */
static void
use_script(const Looking *l, Project *project)
{
    if (project->tool != l->script_tool)
        return;
    bool node = strcmp(project->tool->runtime, "node") == 0;
    bool own = project->evidence.n > 0;
    if (node || !own) {
        project_evidence(l->arena, project, "package.json");
        script_command(l->arena, project, l->package->script_name, l->package->script);
    }
}

static bool
look_for(const Looking *l, const Tool *tool, bool forced, bool *ret_found, Error *err)
{
    Project project = new_project(l, tool, forced);
    bool any = false, is = false;
    *ret_found = false;
    if (!find_markers(l, &project, &any, err))
        return false;
    if (!any && !forced)
        return true;
    if (!inspect(l, &project, &is, err))
        return false;
    if (!is && !forced)
        return true;
    use_script(l, &project);
    *vec_push(l->arena, &l->found->candidates) = project;
    *ret_found = true;
    return true;
}

/* ---- scripts of package.json ---- */

/* A script whose words name no tool (`node dist/migrate.js`): the one tool that is installed for
 * it, where there is exactly one. */
static const Tool *
tool_of_packages(const Package *package)
{
    static const struct {
        const char *package;
        ToolId tool;
    } libraries[] = {{"drizzle-orm", TOOL_DRIZZLE},
                     {"@mikro-orm/migrations", TOOL_MIKROORM},
                     {"postgrator", TOOL_POSTGRATOR}};
    const Tool *found = NULL;
    bool several = false;
    for (int id = 0; id < TOOL_COUNT; id++) {
        const Tool *tool = tool_row((ToolId)id);
        bool has = tool->package && strcmp(tool->runtime, "node") == 0 &&
                   package_has(package, tool->package);
        for (size_t i = 0; i < COUNT_OF(libraries) && !has; i++)
            has = (int)libraries[i].tool == id && package_has(package, libraries[i].package);
        several |= has && found;
        found = has ? tool : found;
    }
    return several ? NULL : found;
}

static const Tool *
find_script_tool(const Package *package)
{
    SCRATCH_ARENA(scratch);
    char **words = package->script ? script_words(scratch, package, package->script_name) : NULL;
    const Tool *tool = words ? words_tool(words) : NULL;
    return words && !tool ? tool_of_packages(package) : tool;
}

static bool
has_candidate(const Detection *d, const Tool *tool)
{
    for (size_t i = 0; i < d->candidates.n; i++)
        if (d->candidates.p[i].tool == tool)
            return true;
    return false;
}

/* Exactly one candidate that node runs: a script that tells nothing is there for that one. */
static Project *
only_node_candidate(const Detection *d)
{
    Project *found = NULL;
    for (size_t i = 0; i < d->candidates.n; i++) {
        if (strcmp(d->candidates.p[i].tool->runtime, "node") != 0)
            continue;
        if (found)
            return NULL;
        found = &d->candidates.p[i];
    }
    return found;
}

static bool
add_script(Looking *l, Error *err)
{
    const Package *package = l->package;
    bool ignored;
    if (!package->script)
        return true;
    if (l->script_tool)
        return has_candidate(l->found, l->script_tool) ||
               look_for(l, l->script_tool, true, &ignored, err);
    /* Its files are SQL that was found already: lockstep applies them itself. */
    if (l->options->sql_dir && script_is_native(l->arena, package->script))
        return true;
    Project *only = only_node_candidate(l->found);
    if (only) {
        project_evidence(l->arena, only, "package.json");
        script_command(l->arena, only, package->script_name, package->script);
        return true;
    }
    Project project = new_project(l, tool_row(TOOL_NPM), false);
    project_evidence(l->arena, &project, "package.json");
    script_command(l->arena, &project, package->script_name, package->script);
    *vec_push(l->arena, &l->found->candidates) = project;
    return true;
}

/* ---- candidates ---- */

static bool
is_same_dir(const char *a, const char *b)
{
    return a && b && (fs_is_inside(a, b) || fs_is_inside(b, a));
}

/* Flask-Migrate is Alembic in a Flask application: an alembic.ini for the same directory is no
 * second tool. */
static void
drop_alembic_of_flask(Detection *d)
{
    const Project *flask = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < d->candidates.n; i++)
        if (d->candidates.p[i].tool == tool_row(TOOL_FLASK_MIGRATE))
            flask = &d->candidates.p[i];
    const char *dir = flask ? flask->migrations : NULL;
    for (size_t i = 0; i < d->candidates.n; i++) {
        const Project *p = &d->candidates.p[i];
        if (p->tool == tool_row(TOOL_ALEMBIC) && is_same_dir(dir, p->migrations))
            continue;
        d->candidates.p[kept++] = *p;
    }
    d->candidates.n = kept;
}

static bool
look_for_all(Looking *l, Error *err)
{
    bool ignored;
    for (int id = 0; id < TOOL_COUNT; id++) {
        const Tool *tool = tool_row((ToolId)id);
        if (!(tool->flags & TOOL_GENERIC) && !look_for(l, tool, false, &ignored, err))
            return false;
    }
    drop_alembic_of_flask(l->found);
    return add_script(l, err);
}

static const char *
first_evidence(const Project *p)
{
    return p->evidence.n ? p->evidence.p[0] : p->dir;
}

static bool
refuse_several(const Detection *d, const char *sql_dir, Error *err)
{
    static const char *const numbers[] = {"two", "three", "four"};
    SCRATCH_ARENA(scratch);
    StrBuf list = strbuf_new(scratch, 8192);
    size_t n = d->candidates.n + (sql_dir ? 1 : 0);
    for (size_t i = 0; i < n && i < 8; i++) {
        const Project *p = i < d->candidates.n ? &d->candidates.p[i] : NULL;
        strbuf_puts(&list, i == 0 ? "" : i + 1 == n ? " and " : ", ");
        strbuf_printf(&list, "%.60s (%.400s)", p ? p->tool->title : "SQL files",
                      p ? first_evidence(p) : sql_dir);
    }
    const char *number = n - 2 < COUNT_OF(numbers) ? numbers[n - 2] : "several";
    error_set(err, ERROR_USAGE, "%s migration tools were found: " STR_FMT, number,
              STR_ARG(strbuf_str(&list)));
    StrBuf names = strbuf_new(scratch, 8192);
    for (size_t i = 0; i < n && i < 8; i++)
        strbuf_printf(&names, "%s--tool %s",
                      i == 0       ? ""
                      : i + 1 == n ? " or "
                                   : ", ",
                      i < d->candidates.n ? d->candidates.p[i].tool->name : "sql");
    return error_hint(err, "Choose one: " STR_FMT " (LOCKSTEP_TOOL).", STR_ARG(strbuf_str(&names)));
}

/* SQL files that lockstep can apply as well, where the tool itself is not there. */
static bool
settle_missing(const Looking *l, const Project *p, Error *err)
{
    Detection *d = l->found;
    if (p->apply) {
        d->found = true;
        d->project = *p;
        return true;
    }
    if ((p->tool->flags & TOOL_SQL_FILES) && p->migrations) {
        d->project = *p;
        d->sql = true;
        d->sql_dir = p->migrations;
        return true;
    }
    error_set(err, ERROR_USAGE, "a %s project was found (%s), and it cannot be migrated: %s",
              p->tool->title, first_evidence(p),
              p->missing ? p->missing : "nothing tells how it is started");
    return error_hint(err, p->missing
                               ? "Install it in the image (it may be a development dependency), or "
                                 "name a command line with --command (LOCKSTEP_COMMAND)."
                               : "Name a command line with --command (LOCKSTEP_COMMAND), or add a "
                                 "script 'migrate' to package.json.");
}

static bool
settle(const Looking *l, Error *err)
{
    Detection *d = l->found;
    const char *sql_dir = l->options->sql_dir;
    for (size_t i = 0; i < d->candidates.n && sql_dir; i++)
        if (is_same_dir(d->candidates.p[i].migrations, sql_dir))
            sql_dir = NULL;
    if (d->candidates.n + (sql_dir ? 1 : 0) > 1)
        return refuse_several(d, sql_dir, err);
    if (d->candidates.n)
        return settle_missing(l, &d->candidates.p[0], err);
    d->sql = sql_dir != NULL;
    d->sql_dir = str_dup(l->arena, str_of(sql_dir));
    return true;
}

/* ---- --tool, --command ---- */

static bool
refuse_unknown(const char *name, Error *err)
{
    const char *nearest = str_nearest(str_of(name), tool_names());
    error_set(err, ERROR_USAGE, "'%.100s' is not a tool that lockstep knows", name);
    if (nearest)
        return error_hint(err, "Did you mean '%s'?", nearest);
    return error_hint(err, "A command line of any other tool is named with --command.");
}

static bool
refuse_absent(const Looking *l, const Tool *tool, Error *err)
{
    SCRATCH_ARENA(scratch);
    StrBuf list = strbuf_new(scratch, 4096);
    for (size_t i = 0; i < TOOL_MARKERS && tool->markers[i]; i++)
        strbuf_printf(&list, "%s%s", i ? ", " : "", tool->markers[i]);
    error_set(err, ERROR_USAGE, "there is no %s project in '%s'; looked for " STR_FMT, tool->title,
              l->dir, STR_ARG(strbuf_str(&list)));
    return error_hint(err, "Start lockstep in the project's directory, or name another tool with "
                           "--tool.");
}

/* Named by --tool: its markers or its package must be there, or its program. */
static bool
take_named(Looking *l, const Tool *tool, Error *err)
{
    Project probe = new_project(l, tool, true);
    Words ignored = {0};
    char *file = NULL;
    bool any = false, found;
    if (tool == tool_row(TOOL_COMMAND)) {
        error_set(err, ERROR_USAGE, "--tool command needs a command line");
        return error_hint(err, "Name it with --command (LOCKSTEP_COMMAND).");
    }
    if (tool == tool_row(TOOL_NPM)) {
        if (!l->package->script) {
            error_set(err, ERROR_USAGE, "package.json has no script that migrates");
            return error_hint(err, "lockstep looks for migrate, db:migrate, migrate:deploy and "
                                   "migrate:up.");
        }
        l->script_tool = NULL;
        Project project = new_project(l, tool, true);
        project_evidence(l->arena, &project, "package.json");
        script_command(l->arena, &project, l->package->script_name, l->package->script);
        return settle_missing(l, &project, err);
    }
    if (!find_markers(l, &probe, &any, err) ||
        !manifest_has(l->arena, &probe, l->package, &file, err))
        return false;
    bool marked = probe.evidence.n > 0 || file || tool == l->script_tool;
    if (!marked && (any || !project_program(l->arena, &probe, &ignored) || tool->markers[0]))
        return refuse_absent(l, tool, err);
    if (!look_for(l, tool, true, &found, err))
        return false;
    Project *p = &l->found->candidates.p[0];
    if (p->evidence.n == 0 && file)
        project_evidence(l->arena, p, file);
    return settle_missing(l, p, err);
}

/* `npm run X` is what X is. */
static const Tool *
command_tool(const Looking *l, char *const *command)
{
    SCRATCH_ARENA(scratch);
    static const char *const runners[] = {"npm", "pnpm", "yarn", "bun"};
    const Tool *tool = words_tool(command);
    bool npm = false;
    for (size_t i = 0; i < COUNT_OF(runners); i++)
        npm |= strcmp(command[0], runners[i]) == 0;
    if (tool || !npm || !command[1])
        return tool;
    const char *name = strcmp(command[1], "run") == 0 && command[2] ? command[2] : command[1];
    if (l->package->script_name && strcmp(name, l->package->script_name) == 0)
        return l->script_tool;
    char **words = script_words(scratch, l->package, name);
    return words ? words_tool(words) : NULL;
}

static bool
take_command(Looking *l, const Tool *named, Error *err)
{
    char *const *command = l->options->command;
    const Tool *tool = named ? named : command_tool(l, command);
    bool any = false, is = false;
    Words words = {0};
    if (!l->options->elsewhere && !proc_which(l->arena, command[0], l->options->environ_)) {
        error_set(err, ERROR_USAGE, "'%.200s' is not there, or cannot be executed", command[0]);
        return error_hint(err, "Correct --command (LOCKSTEP_COMMAND), or install it in the image.");
    }
    if (!tool)
        tool = tool_row(TOOL_COMMAND);
    Project project = new_project(l, tool, true);
    if (!find_markers(l, &project, &any, err) ||
        !(tool->flags & TOOL_GENERIC || inspect(l, &project, &is, err)))
        return false;
    for (; *command; command++)
        words_add(l->arena, &words, str_of(*command));
    words_end(l->arena, &words);
    details_of(&project)->elsewhere = !words_are_usual(words.p, &project);
    project.apply = words.p;
    project.prefix = NULL;
    project.missing = project.script = NULL;
    l->found->found = true;
    l->found->project = project;
    *vec_push(l->arena, &l->found->candidates) = project;
    return true;
}

/* The tool that these SQL files are of, for what its own files say of the database. It is looked
 * for best effort: what cannot be read there does not concern the SQL. */
static void
find_owner(const Looking *l)
{
    Detection *d = l->found;
    Error ignored = ERROR_INIT;
    bool found;
    for (int id = 0; id < TOOL_COUNT && d->sql_dir; id++) {
        const Tool *tool = tool_row((ToolId)id);
        if (!(tool->flags & TOOL_SQL_FILES) || !look_for(l, tool, false, &found, &ignored) ||
            !found)
            continue;
        const Project *p = &d->candidates.p[d->candidates.n - 1];
        if (is_same_dir(p->migrations, d->sql_dir))
            d->project = *p;
    }
    if (d->project.tool && !own_database(l->arena, &d->project, &ignored))
        d->project.tool = NULL;
}

/* Nothing can be said of a directory that may not be looked into. */
static bool
can_look(const char *dir, Error *err)
{
    if (fs_kind(dir) == FS_DIR && access(dir, R_OK | X_OK) == 0)
        return true;
    return error_set_errno(err, ERROR_USAGE, errno ? errno : ENOTDIR, "cannot look into '%s'", dir);
}

/* package.json counts where a script or a tool of Node is asked for. */
static bool
reads_package(const DetectOptions *options, const Tool *named)
{
    return options->command || !named || strcmp(named->runtime, "node") == 0;
}

bool
tool_detect(Arena *arena, const DetectOptions *options, Detection *ret, Error *err)
{
    Detection d = {0};
    Package package = {0};
    const char *name = options->tool ? options->tool : "auto";
    bool automatic = strcmp(name, "auto") == 0, ok = true;
    const Tool *named = automatic ? NULL : tool_by_name(name);
    const char *dir = options->dir ? options->dir : ".";
    bool command = options->command && options->command[0];
    if (strcmp(name, "none") == 0 || strcmp(name, "sql") == 0) {
        Looking look = {.arena = arena,
                        .options = options,
                        .dir = dir,
                        .package = arena_make(arena, Package),
                        .found = &d};
        d.sql = strcmp(name, "sql") == 0;
        d.sql_dir = str_dup(arena, str_of(d.sql ? options->sql_dir : NULL));
        find_owner(&look);
        *ret = d;
        return true;
    }
    if (!automatic && !named)
        return refuse_unknown(name, err);
    if (!can_look(dir, err) ||
        (reads_package(options, named) && !package_read(arena, dir, &package, err)))
        return false;
    Looking l = {.arena = arena,
                 .options = options,
                 .dir = dir,
                 .package = &package,
                 .script_tool = find_script_tool(&package),
                 .found = &d};
    /* Details outlive this call. */
    Package *kept = arena_make(arena, Package);
    *kept = package;
    l.package = kept;
    if (command)
        ok = take_command(&l, named, err);
    else if (named)
        ok = take_named(&l, named, err);
    else
        ok = look_for_all(&l, err) && settle(&l, err);
    if (!ok || (d.project.tool && !d.project.url && !own_database(arena, &d.project, err)))
        return false;
    d.passed_over = package.passed_over;
    *ret = d;
    return true;
}
