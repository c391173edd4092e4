/* SPDX-License-Identifier: Apache-2.0 */
/* Rails, Sequel, Laravel, Ecto, and programs of their own: Sqitch, sql-migrate, Flyway ... */

#include <fnmatch.h>
#include <string.h>

#include "tools/adapters.h"
#include "core/banned.h"

static bool
set_first_dir(Arena *arena, Project *project, const char *a, const char *b, const char *c)
{
    const char *names[] = {a, b, c, NULL};
    return project_find_dir(arena, project, names);
}

bool
rails_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    Str application, program;
    if (!project_read(arena, project, "config/application.rb", &application, err) ||
        !project_read(arena, project, "bin/rails", &program, err))
        return false;
    bool rails = text_has(application, "Rails") || text_has(program, "rails/commands");
    /* An application without a database has neither of these. */
    bool database = set_first_dir(arena, project, "db/migrate", NULL, NULL) ||
                    project_has(project, "config/database.yml");
    details_of(project)->config = project_path(arena, project, "config/database.yml");
    *ret_is = rails && database;
    return true;
}

/* Ruby, started so that no URL stands on a command line where everybody can read it. Sequel's
 * spellings differ: mysql2, and two slashes before the path of a file that is not absolute. */
static const char sequel_code[] =
    "require 'bundler/setup' if File.exist?('Gemfile.lock'); "
    "require 'sequel'; Sequel.extension :migration; "
    "url = ENV.fetch('DATABASE_URL').sub(/\\Amysql:/, 'mysql2:')"
    ".sub(%r{\\Asqlite3?:(?:///)?(?=[^/])}, 'sqlite://').sub(/\\Asqlite3:/, 'sqlite:'); "
    "Sequel.connect(url) { |db| "
    "Sequel::Migrator.run(db, ARGV[0], target: ARGV[1] && Integer(ARGV[1], 10)) }";

static void
start_sequel(Arena *arena, Project *project)
{
    Words words = {0};
    if (!project->prefix)
        return;
    words_add(arena, &words, str_of(project->prefix[0]));
    words_add(arena, &words, STR("-e"));
    words_add(arena, &words, str_of(sequel_code));
    words_add(arena, &words, str_of(project->migrations));
    project->apply = project->prefix = words_end(arena, &words);
}

bool
sequel_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    FsList list = {0};
    char *file = NULL;
    *ret_is = false;
    if (!manifest_has(arena, project, details_of(project)->package, &file, err))
        return false;
    project->apply = NULL;
    if (!set_first_dir(arena, project, "db/migrations", "db/migrate", "migrations")) {
        project->missing = str_dup(arena, STR("no directory of its migrations was found"));
        return true;
    }
    if (!fs_list(arena, project->migrations, &list, err))
        return false;
    for (size_t i = 0; i < list.n && file && !project_has(project, "config/application.rb"); i++)
        *ret_is |= fnmatch("[0-9]*.rb", list.p[i].name, 0) == 0;
    if (file)
        project_evidence(arena, project, file);
    project->evidence.n = file ? project->evidence.n : 0;
    *vec_push(arena, &project->evidence) = project->migrations;
    start_sequel(arena, project);
    return true;
}

bool
laravel_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    char *file = NULL;
    Str text;
    if (!project_read(arena, project, "artisan", &text, err) ||
        !manifest_has(arena, project, details_of(project)->package, &file, err))
        return false;
    *ret_is = file || text_has(text, "Illuminate") || text_has(text, "bootstrap/app.php");
    details_of(project)->config = project_path(arena, project, ".env");
    (void)set_first_dir(arena, project, "database/migrations", NULL, NULL);
    return true;
}

/* A release holds each application below lib/NAME-VERSION. */
static bool
find_release_dir(Arena *arena, Project *project, Error *err)
{
    FsList list;
    if (!project_has_dir(project, "lib"))
        return true;
    if (!fs_list(arena, project_path(arena, project, "lib"), &list, err))
        return false;
    for (size_t i = 0; i < list.n && !project->migrations; i++) {
        char *dir = str_printf(arena, "lib/%s/priv/repo/migrations", list.p[i].name);
        (void)set_first_dir(arena, project, dir, NULL, NULL);
    }
    return true;
}

bool
ecto_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    char *file = NULL;
    if (!manifest_has(arena, project, details_of(project)->package, &file, err))
        return false;
    bool release = project_has(project, "bin/migrate") && project_has_dir(project, "releases");
    *ret_is = file || release;
    if (file)
        project_evidence(arena, project, file);
    (void)set_first_dir(arena, project, "priv/repo/migrations", NULL, NULL);
    if (!project->migrations && release && !find_release_dir(arena, project, err))
        return false;
    /* The release's own script takes no words; it stands alone. */
    if (project->prefix && strchr(project->prefix[0], '/')) {
        Words words = {0};
        words_add(arena, &words, str_of(project->prefix[0]));
        project->apply = words_end(arena, &words);
        project->prefix = NULL;
    }
    return true;
}

bool
sqitch_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    ToolDetails *details = details_of(project);
    Str text;
    if (!project_read(arena, project, "sqitch.conf", &text, err))
        return false;
    Str top = ini_value(arena, text, "core", "top_dir");
    Str plan = ini_value(arena, text, "core", "plan_file");
    Str engine = ini_value(arena, text, "core", "engine");
    char *dir = top.n && !str_eq(top, STR(".")) ? str_dup(arena, top) : NULL;
    char *section = str_printf(arena, "engine \"" STR_FMT "\"", STR_ARG(engine));
    Str registry = ini_value(arena, text, section, "registry");
    if (registry.n)
        project->schema = str_dup(arena, registry);
    char *file = plan.n ? str_dup(arena, plan)
                 : dir  ? fs_join(arena, dir, "sqitch.plan")
                        : str_dup(arena, STR("sqitch.plan"));
    details->config = project_path(arena, project, file);
    *ret_is = text.p || project_has(project, "sqitch.plan");
    (void)set_first_dir(arena, project, dir ? fs_join(arena, dir, "deploy") : "deploy", NULL, NULL);
    return true;
}

bool
sql_migrate_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    ToolDetails *details = details_of(project);
    Str text;
    if (!project_read(arena, project, "dbconfig.yml", &text, err))
        return false;
    *ret_is = text_has(text, "dialect") || text_has(text, "datasource");
    details->config = project_path(arena, project, "dbconfig.yml");
    bool own = project->mode && yaml_has_section(text, project->mode);
    details->mode = str_dup(arena, own ? str_of(project->mode) : STR("development"));
    if (strcmp(details->mode, "development") != 0)
        project_add_word(arena, project, str_printf(arena, "-env=%s", details->mode));
    Str dir = yaml_value(text, details->mode, "dir");
    Str table = yaml_value(text, details->mode, "table");
    Str schema = yaml_value(text, details->mode, "schema");
    (void)set_first_dir(arena, project, dir.n ? str_dup(arena, dir) : "migrations", NULL, NULL);
    if (table.n)
        project->table = str_dup(arena, table);
    if (schema.n)
        project->schema = str_dup(arena, schema);
    return true;
}

/* flyway.locations=filesystem:sql,classpath:x (.conf) or locations = ["filesystem:sql"] (.toml) */
static Str
flyway_location(Str text)
{
    Str mark = STR("filesystem:");
    size_t at = str_find_str(text, mark), end;
    if (!text.p || at >= text.n)
        return STR_ABSENT;
    Str rest = str_sub(text, at + mark.n, text.n);
    for (end = 0; end < rest.n && !strchr("\",' \t\r\n]", rest.p[end]);)
        end++;
    return str_sub(rest, 0, end);
}

bool
flyway_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    bool there;
    Str text = STR_ABSENT;
    *ret_is = true;
    for (size_t i = 0; i < TOOL_MARKERS && project->tool->markers[i] && !text.p; i++) {
        if (!project_read(arena, project, project->tool->markers[i], &text, err))
            return false;
        if (text.p)
            details_of(project)->config = project_path(arena, project, project->tool->markers[i]);
    }
    Str place = flyway_location(text);
    Str table = code_value(arena, text, "table", &there);
    if (place.n)
        (void)set_first_dir(arena, project, str_dup(arena, place), NULL, NULL);
    else
        (void)set_first_dir(arena, project, "sql", "migrations", "db/migration");
    if (table.n)
        project->table = str_dup(arena, table);
    return true;
}

bool
plain_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    (void)arena;
    (void)err;
    *ret_is = project->evidence.n > 0;
    return true;
}
