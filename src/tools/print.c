/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A project's print: names, sizes and times of whatever decides what its migration tool would do.
 * On the way of every start, so that nothing is read and each file is asked about once; what is
 * installed is looked at where the installer leaves one file (or one directory) that changes.
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/env.h"
#include "core/hash.h"
#include "proc/proc.h"
#include "tools/files.h"

#include "core/banned.h"

enum { ENTRIES_MAX = 20000, DEPTH_MAX = 12, TEXT_CEILING = 16 * 1024 * 1024 };

typedef struct Print {
    Arena *arena;
    const Project *project;
    StrBuf text;
    size_t entries;
    bool given_up; /* too much, or something that cannot be looked at */
} Print;

/* One line; no name holds the byte that ends it. */
static void
add_line(Print *p, const char *name, const char *value)
{
    Str a = str_of(name), b = str_of(value ? value : "");
    if (p->text.n + a.n + b.n + 64 > TEXT_CEILING) {
        p->given_up = true;
        return;
    }
    strbuf_add(&p->text, a);
    strbuf_addc(&p->text, '\0');
    strbuf_add(&p->text, b);
    strbuf_addc(&p->text, value ? '\0' : '\1');
}

static void
add_stat(Print *p, const char *name, const struct stat *st, bool size)
{
    char value[64];
    /* The inode is left out: it differs between replicas of one image. */
    snprintf(value, sizeof value, "%" PRId64 " %" PRId64 ".%09ld",
             size ? (int64_t)st->st_size : (int64_t)-1, (int64_t)st->st_mtim.tv_sec,
             (long)st->st_mtim.tv_nsec);
    add_line(p, name, value);
}

static void
add_path(Print *p, const char *path)
{
    struct stat st;
    if (path && stat(path, &st) == 0)
        add_stat(p, path, &st, S_ISREG(st.st_mode));
}

/* ---- one directory ---- */

typedef struct Name {
    const char *name;
    unsigned char type;
} Name;
typedef VEC(Name) Names;

static int
compare_names(const void *a, const void *b)
{
    return strcmp(((const Name *)a)->name, ((const Name *)b)->name);
}

static void
close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Sorted: the order of a directory differs between copies of one image. */
static bool
read_names(Print *p, DIR *dir, bool (*wanted)(const char *name, unsigned char type), Names *ret)
{
    Names names = {0};
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            !wanted(e->d_name, e->d_type))
            continue;
        if (++p->entries > ENTRIES_MAX)
            return false;
        *vec_push(p->arena, &names) = (Name){str_dup(p->arena, str_of(e->d_name)), e->d_type};
    }
    if (names.n)
        qsort(names.p, names.n, sizeof *names.p, compare_names);
    *ret = names;
    return true;
}

/* No caches: node_modules/.cache, .prisma. */
static bool
wants_package(const char *name, unsigned char type)
{
    (void)type;
    return name[0] != '.' && strcmp(name, "__pycache__") != 0;
}

/* Names and times of what stands in a directory of installed packages. */
static void
add_listing(Print *p, const char *path)
{
    CLEANUP(close_dir) DIR *dir = opendir(path);
    Names names;
    if (!dir)
        return; /* not there, or not for us: then not for the tool either */
    if (!read_names(p, dir, wants_package, &names)) {
        p->given_up = true;
        return;
    }
    add_line(p, path, NULL);
    for (size_t i = 0; i < names.n; i++) {
        struct stat st;
        if (fstatat(dirfd(dir), names.p[i].name, &st, 0) == 0)
            add_stat(p, names.p[i].name, &st, S_ISREG(st.st_mode));
    }
}

/* ---- the project ---- */

static bool
is_in(const char *word, const char *const *list)
{
    for (size_t i = 0; list[i]; i++) {
        if (strcmp(word, list[i]) == 0)
            return true;
    }
    return false;
}

/* Code, configuration, migrations; and what has a name of its own instead of an ending. */
static bool
decides(const char *name)
{
    static const char *const endings[] = {
        "py",   "rb",   "js",   "cjs", "mjs",        "ts",   "mts", "cts",    "json",
        "toml", "yml",  "yaml", "ini", "cfg",        "sql",  "php", "prisma", "ex",
        "exs",  "lock", "conf", "xml", "properties", "plan", "env", NULL};
    static const char *const names[] = {"Gemfile", "Rakefile",  "Pipfile", "artisan", "efbundle",
                                        "flyway",  "liquibase", "rails",   "migrate", NULL};
    const char *dot = strrchr(name, '.');
    if (!dot)
        return is_in(name, names);
    size_t n = strlen(name);
    return is_in(dot + 1, endings) || strncmp(name, ".env", 4) == 0 ||
           (n > 2 && strcmp(name + n - 2, "rc") == 0);
}

static bool
wants_code(const char *name, unsigned char type)
{
    static const char *const skipped[] = {".git",  "node_modules", "venv",   ".venv",
                                          ".next", "__pycache__",  ".cache", NULL};
    if (type == DT_DIR || type == DT_LNK || type == DT_UNKNOWN)
        return !is_in(name, skipped);
    return type == DT_REG && decides(name);
}

/* Packages that are installed below the project and looked at in another way; and what frameworks
 * write while they run, which would differ after every start. */
static bool
is_other(const Print *p, const char *path)
{
    static const struct {
        const char *runtime, *path;
    } others[] = {
        {"php", "vendor"},         {"php", "storage"},   {"php", "bootstrap/cache"},
        {"ruby", "vendor/bundle"}, {"ruby", "tmp"},      {"ruby", "log"},
        {"elixir", "deps"},        {"elixir", "_build"},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (strcmp(p->project->tool->runtime, others[i].runtime) == 0 &&
            strcmp(path, others[i].path) == 0)
            return true;
    return false;
}

/* Rails writes the schema down after it migrated; that is nothing to migrate. */
static bool
is_result(const Print *p, const char *path)
{
    return strcmp(p->project->tool->name, "rails") == 0 &&
           (strcmp(path, "db/schema.rb") == 0 || strcmp(path, "db/structure.sql") == 0);
}

static void walk(Print *p, int parent, const char *name, const char *path, int depth);

static void
look_at(Print *p, int dirfd_, const Name *entry, const char *path, int depth)
{
    struct stat st;
    if (entry->type == DT_DIR) {
        walk(p, dirfd_, entry->name, path, depth);
        return;
    }
    if (fstatat(dirfd_, entry->name, &st, 0) != 0) {
        add_line(p, path, NULL); /* a link to nothing */
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        /* A linked directory within the project is met on the way, and a circle has no end. */
        const char *full = project_path(p->arena, p->project, path);
        add_line(p, path, NULL);
        if (entry->type == DT_UNKNOWN || !fs_is_inside(p->project->dir, full))
            walk(p, dirfd_, entry->name, path, depth);
    } else if (S_ISREG(st.st_mode) && decides(entry->name) && !is_result(p, path)) {
        add_stat(p, path, &st, true);
    }
}

static void
walk(Print *p, int parent, const char *name, const char *path, int depth)
{
    if (p->given_up || is_other(p, path))
        return;
    int fd = depth > DEPTH_MAX ? -1 : openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    Names names;
    if (!dir && fd >= 0)
        close(fd);
    if (!dir || !read_names(p, dir, wants_code, &names)) {
        p->given_up = true;
        return;
    }
    for (size_t i = 0; i < names.n && !p->given_up; i++) {
        const char *child = *path ? fs_join(p->arena, path, names.p[i].name) : names.p[i].name;
        look_at(p, dirfd(dir), &names.p[i], child, depth + 1);
    }
}

/* ---- what is installed ---- */

/* What npm, pnpm and yarn leave where they installed; without any of it, the folder itself. */
static bool
add_modules(Print *p, const char *dir)
{
    static const char *const marks[] = {".package-lock.json", ".modules.yaml", ".yarn-integrity",
                                        ".yarn-state.yml"};
    bool any = false;
    if (fs_kind(dir) != FS_DIR)
        return false;
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        const char *path = fs_join(p->arena, dir, marks[i]);
        any = any || fs_kind(path) == FS_FILE;
        add_path(p, path);
    }
    if (!any)
        add_listing(p, dir);
    return true;
}

/* As Node looks for them: beside, and in each directory above. */
static void
add_node(Print *p)
{
    char real[PATH_MAX];
    add_path(p, proc_which(p->arena, "node", p->project->environ_));
    if (!realpath(p->project->dir, real))
        return;
    for (char *end = real + strlen(real); end > real; *end = 0) {
        (void)add_modules(p, fs_join(p->arena, real, "node_modules"));
        while (end > real && *end != '/')
            end--;
    }
    Str path = str_of(env_get(p->project->environ_, "NODE_PATH"));
    while (path.n) {
        size_t colon = str_find(path, ':');
        (void)add_modules(p, str_dup(p->arena, str_sub(path, 0, colon)));
        path = str_sub(path, colon + 1, path.n);
    }
}

static void
add_python(Print *p)
{
    Words roots = python_roots(p->arena, p->project);
    for (size_t i = 0; i < roots.n; i++)
        add_listing(p, roots.p[i]);
    add_path(p, proc_which(p->arena, "python3", p->project->environ_));
}

/* dir/3.1.0/specifications: a file for each gem that is installed. */
static void
add_gems(Print *p, const char *dir)
{
    Error ignored = ERROR_INIT;
    FsList list = {0};
    if (fs_kind(dir) != FS_DIR || !fs_list_names(p->arena, dir, &list, &ignored))
        return;
    for (size_t i = 0; i < list.n; i++)
        add_listing(p, fs_join(p->arena, fs_join(p->arena, dir, list.p[i].name), "specifications"));
}

static void
add_ruby(Print *p)
{
    static const char *const homes[] = {"GEM_HOME", "BUNDLE_PATH"};
    const char *ruby = proc_which(p->arena, "ruby", p->project->environ_);
    Str program = str_of(ruby), bin = STR("/bin/ruby");
    add_path(p, ruby);
    for (size_t i = 0; i < COUNT_OF(homes); i++) {
        const char *home = env_get(p->project->environ_, homes[i]);
        if (!home)
            continue;
        add_listing(p, fs_join(p->arena, home, "specifications"));
        add_gems(p, fs_join(p->arena, home, "ruby"));
    }
    if (str_ends(program, bin))
        add_gems(p, str_printf(p->arena, STR_FMT "/lib/ruby/gems",
                               STR_ARG(str_sub(program, 0, program.n - bin.n))));
    add_gems(p, project_path(p->arena, p->project, "vendor/bundle/ruby"));
    add_gems(p, "/var/lib/gems"); /* Debian's, with what `gem install` adds beside it */
    add_gems(p, "/usr/share/rubygems-integration");
}

static void
add_installed(Print *p)
{
    const char *runtime = p->project->tool->runtime;
    if (strcmp(runtime, "node") == 0) {
        add_node(p);
    } else if (strcmp(runtime, "python") == 0) {
        add_python(p);
    } else if (strcmp(runtime, "ruby") == 0) {
        add_ruby(p);
    } else if (strcmp(runtime, "php") == 0) {
        add_path(p, project_path(p->arena, p->project, "vendor/composer/installed.json"));
        add_path(p, proc_which(p->arena, "php", p->project->environ_));
    } else if (strcmp(runtime, "elixir") == 0) {
        add_listing(p, project_path(p->arena, p->project, "deps"));
    }
}

/* Which program, started how, told what. */
static void
add_command(Print *p)
{
    static const char *const variables[] = {
        "DJANGO_SETTINGS_MODULE", "FLASK_APP", "ALEMBIC_CONFIG", "NODE_ENV", "RAILS_ENV", NULL};
    const Project *project = p->project;
    add_line(p, "tool", project->tool->name);
    add_line(p, "mode", project->mode);
    add_line(p, "schema", project->schema);
    add_line(p, "table", project->table);
    for (char **word = project->apply; word && *word; word++)
        add_line(p, "word", *word);
    for (size_t i = 0; variables[i]; i++)
        add_line(p, variables[i], env_get(project->environ_, variables[i]));
    const char *program = started_program(p->arena, project);
    if (program)
        add_path(p, program);
}

bool
tool_print(Arena *arena, const Project *project, char **ret, Error *err)
{
    (void)err;
    SCRATCH_ARENA(scratch);
    Print p = {.arena = scratch, .project = project, .text = strbuf_new(scratch, TEXT_CEILING)};
    add_command(&p);
    walk(&p, AT_FDCWD, project->dir, "", 0);
    if (!p.given_up)
        add_installed(&p);
    *ret = p.given_up ? NULL : hash_hex(arena, HASH_SHA256, strbuf_str(&p.text));
    return true;
}
