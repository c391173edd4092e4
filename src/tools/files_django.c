/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Django's migrations: the settings' INSTALLED_APPS, each app's migrations package, each module's
 * dependencies. All of it is Python, and read only where it is written down plainly; anything that
 * has to be computed makes the whole "not known", because one app that is not seen would make a
 * database look finished that is not.
 */

#include <string.h>

#include "core/env.h"
#include "tools/files.h"
#include "tools/python.h"

#include "core/banned.h"

enum { SETTINGS_DEPTH = 6, APPS_MAX = 1000 };

typedef struct DjangoApp {
    char *label, *dir;
    size_t from, to; /* its migrations in `files`, while these are in the order of their apps */
} DjangoApp;

typedef struct Django {
    Arena *arena;
    const Project *project;
    ToolFiles *files;
    Words roots; /* where modules are: the project first */
    size_t own;  /* how many of the roots hold the project's own modules */
    PyNames names;
    bool conditional; /* the settings decide at run time */
    VEC(DjangoApp) apps;
} Django;

static bool
unknown(Django *d, const char *what, const char *name)
{
    files_unknown(d->arena, d->files, what, name);
    return false;
}

/* ---- modules ---- */

static char *
module_path(Arena *arena, const char *root, Str module)
{
    char *path = fs_join(arena, root, str_dup(arena, module));
    for (char *p = path + strlen(root); *p; p++) {
        if (*p == '.')
            *p = '/';
    }
    return path;
}

/* Letters, digits, "_" and ".": what a path is made of. */
static bool
is_module(Str name)
{
    bool dot = true;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
        if (!letter && (c != '.' || dot))
            return false;
        dot = c == '.';
    }
    return name.n > 0 && !dot;
}

/* A package's directory; one with an __init__.py hides those without in other places. */
static char *
find_package(Django *d, Str module)
{
    char *plain = NULL;
    for (size_t i = 0; i < d->roots.n; i++) {
        char *path = module_path(d->arena, d->roots.p[i], module);
        if (fs_kind(path) != FS_DIR)
            continue;
        if (fs_kind(fs_join(d->arena, path, "__init__.py")) == FS_FILE ||
            fs_kind(fs_join(d->arena, path, "__init__.pyc")) == FS_FILE)
            return path;
        plain = plain ? plain : path;
    }
    return plain;
}

/* A module's file, among the first `roots` roots. */
static char *
find_module(Django *d, Str module, size_t roots)
{
    for (size_t i = 0; i < roots; i++) {
        char *path = module_path(d->arena, d->roots.p[i], module);
        char *package = fs_join(d->arena, path, "__init__.py");
        if (fs_kind(package) == FS_FILE)
            return package;
        char *file = str_printf(d->arena, "%s.py", path);
        if (fs_kind(file) == FS_FILE)
            return file;
    }
    return NULL;
}

static bool
read_lines(Django *d, Arena *arena, const char *path, PyLines *ret)
{
    Str text;
    if (!files_text(arena, path, &text, d->files)) {
        d->files->why = str_dup(d->arena, str_of(d->files->why));
        return false;
    }
    return py_lines(arena, text, ret) || unknown(d, "'%s' cannot be read as Python", path);
}

/* ---- settings ---- */

static bool read_settings(Django *d, Str module, int depth);

static bool
is_about_apps(Str name)
{
    return str_find_str(name, STR("APPS")) < name.n;
}

/* `from .base import *`: the module's full name, and what is taken from it. */
static bool
imported(Django *d, const PyLine *line, Str self, bool package, Str *ret_module, bool *ret_apps)
{
    size_t at = 1, dots = 0;
    StrBuf name = strbuf_new(d->arena, 4096);
    for (; py_is(line, at, "."); at++)
        dots++;
    if (dots) { /* relative: the module's own package, one up for each further dot */
        for (size_t up = package ? 1 : 0; up < dots; up++) {
            size_t end = self.n;
            while (end && self.p[end - 1] != '.')
                end--;
            self = str_sub(self, 0, end ? end - 1 : 0);
        }
        strbuf_add(&name, str_sub(self, 0, 1024));
    }
    for (; at < line->n && !py_is(line, at, "import"); at++) {
        if (py_is(line, at, "."))
            continue;
        if (name.n + line->tokens[at].text.n > 4000)
            return false;
        if (name.n)
            strbuf_addc(&name, '.');
        strbuf_add(&name, line->tokens[at].text);
    }
    *ret_apps = false;
    for (at++; at < line->n; at++)
        *ret_apps = *ret_apps || py_is(line, at, "*") || is_about_apps(line->tokens[at].text);
    *ret_module = name.n ? strbuf_str(&name) : STR("");
    return is_module(*ret_module);
}

static bool
read_import(Django *d, const PyLine *line, Str self, bool package, int depth)
{
    Str module;
    bool apps;
    if (!imported(d, line, self, package, &module, &apps) || !apps)
        return true;
    if (!find_module(d, module, d->own)) {
        /* Within `try` it may be a file that only developers have. */
        d->conditional = d->conditional || line->indent == 0;
        return true;
    }
    return read_settings(d, module, depth + 1);
}

/* INSTALLED_APPS.append("x"), .extend([...]), .insert(0, "x"), .remove("x") */
static void
read_method(Django *d, const PyLine *line)
{
    PyValue *list = py_lookup(&d->names, line->tokens[0].text);
    PyValue args = py_arguments(d->arena, line, 3, &d->names);
    if (!list)
        return;
    bool plain = line->indent == 0 && list->kind == PY_LIST && args.kind == PY_LIST;
    size_t n = args.items.n;
    if (plain && py_is(line, 2, "append") && n == 1)
        *vec_push(d->arena, &list->items) = args.items.p[0];
    else if (plain && py_is(line, 2, "insert") && n == 2)
        *vec_push(d->arena, &list->items) = args.items.p[1];
    else if (plain && py_is(line, 2, "extend") && n == 1 && args.items.p[0].kind == PY_LIST)
        for (size_t i = 0; i < args.items.p[0].items.n; i++)
            *vec_push(d->arena, &list->items) = args.items.p[0].items.p[i];
    else
        list->kind = PY_OTHER;
}

static void
read_assignment(Django *d, const PyLine *line, Str name, bool adds, size_t at)
{
    PyValue value = py_value(d->arena, line, at, &d->names);
    const PyValue *before = py_lookup(&d->names, name);
    if (line->indent > 0) {
        if (is_about_apps(name))
            py_assign(d->arena, &d->names, name, (PyValue){.kind = PY_OTHER});
        return;
    }
    if (adds && before && before->kind == PY_LIST && value.kind == PY_LIST) {
        PyValue sum = {.kind = PY_LIST};
        for (size_t i = 0; i < before->items.n; i++)
            *vec_push(d->arena, &sum.items) = before->items.p[i];
        for (size_t i = 0; i < value.items.n; i++)
            *vec_push(d->arena, &sum.items) = value.items.p[i];
        value = sum;
    } else if (adds) {
        value = (PyValue){.kind = PY_OTHER};
    }
    py_assign(d->arena, &d->names, name, value);
}

static bool
read_settings_line(Django *d, const PyLine *line, Str self, bool package, int depth)
{
    Str name;
    bool adds;
    size_t at;
    static const char *const tricks[] = {"exec", "include", "globals", "locals", "vars"};
    if (py_is(line, 0, "from"))
        return read_import(d, line, self, package, depth);
    for (size_t i = 0; i < COUNT_OF(tricks); i++)
        d->conditional = d->conditional || (py_is(line, 0, tricks[i]) && py_is(line, 1, "("));
    if (py_is(line, 0, "MIGRATION_MODULES"))
        return unknown(d, "%s is set in the settings", "MIGRATION_MODULES");
    if (py_assignment(line, &name, &adds, &at))
        read_assignment(d, line, name, adds, at);
    else if (line->n > 3 && line->tokens[0].kind == PY_NAME && py_is(line, 1, ".") &&
             py_is(line, 3, "(") && is_about_apps(line->tokens[0].text))
        read_method(d, line);
    else if (is_about_apps(line->tokens[0].text) && !py_is(line, 0, "from"))
        py_assign(d->arena, &d->names, line->tokens[0].text, (PyValue){.kind = PY_OTHER});
    return true;
}

static bool
read_settings(Django *d, Str module, int depth)
{
    const char *path = is_module(module) ? find_module(d, module, d->own) : NULL;
    char *name = str_dup(d->arena, module);
    PyLines lines;
    if (!path)
        return unknown(d, "its settings '%s' were not found", name);
    if (depth > SETTINGS_DEPTH)
        return unknown(d, "its settings '%s' import each other too deeply", name);
    if (!read_lines(d, d->arena, path, &lines))
        return false;
    bool package = str_ends(str_of(path), STR("/__init__.py"));
    for (size_t i = 0; i < lines.n; i++) {
        if (!read_settings_line(d, &lines.p[i], str_of(name), package, depth))
            return false;
    }
    return true;
}

/* os.environ.setdefault("DJANGO_SETTINGS_MODULE", "x"), or an assignment, which wins over the
 * environment. */
static bool
settings_module(Django *d, Str *ret)
{
    const char *given = env_get(d->project->environ_, "DJANGO_SETTINGS_MODULE");
    const ToolDetails *details = details_of(d->project);
    char *path = project_path(d->arena, d->project, "manage.py");
    PyLines lines;
    Str found = str_of(given && *given ? given : NULL);
    if (fs_kind(path) == FS_FILE) {
        if (!read_lines(d, d->arena, path, &lines))
            return false;
        for (size_t i = 0; i < lines.n; i++) {
            const PyLine *line = &lines.p[i];
            for (size_t k = 0; k + 2 < line->n; k++) {
                if (line->tokens[k].kind != PY_STRING ||
                    !str_eq(line->tokens[k].text, STR("DJANGO_SETTINGS_MODULE")))
                    continue;
                bool sets = py_is(line, k + 1, "]") && py_is(line, k + 2, "=") && k + 4 == line->n;
                size_t at = sets ? k + 3 : k + 2;
                bool literal = (sets || py_is(line, k + 1, ",")) &&
                               line->tokens[at].kind == PY_STRING &&
                               (sets || py_is(line, at + 1, ")"));
                if (sets && !literal)
                    return unknown(d, "'%s' computes its settings", path);
                if (literal && (sets || !found.n))
                    found = line->tokens[at].text;
            }
        }
    }
    if (!found.n && details && details->settings)
        found = str_of(details->settings);
    if (!found.n)
        return unknown(d, "%s does not say where its settings are", path);
    *ret = found;
    return true;
}

/* ---- apps ---- */

typedef struct AppConfig {
    Str class_name, base;
    PyValue name, label; /* PY_NONE = not said */
    bool is_default;
} AppConfig;
typedef VEC(AppConfig) AppConfigs;

/* A class says what the one before it that it is made of says, where it does not say it itself. */
static void
inherit(AppConfigs *configs, AppConfig *c)
{
    for (size_t i = 0; i < configs->n; i++) {
        const AppConfig *base = &configs->p[i];
        if (base == c || !str_eq(base->class_name, c->base))
            continue;
        if (c->name.kind == PY_NONE)
            c->name = base->name;
        if (c->label.kind == PY_NONE)
            c->label = base->label;
        c->base = base->base;
        return;
    }
}

static bool
read_configs(Django *d, const char *path, AppConfigs *ret)
{
    PyLines lines;
    bool inside = false;
    if (!read_lines(d, d->arena, path, &lines))
        return false;
    for (size_t i = 0; i < lines.n; i++) {
        const PyLine *line = &lines.p[i];
        Str name;
        bool adds;
        size_t at;
        if (line->indent == 0)
            inside = py_is(line, 0, "class") && line->n > 4;
        if (inside && line->indent == 0) {
            size_t base = 3;
            for (; base + 1 < line->n && py_is(line, base + 1, "."); base++)
                base++;
            *vec_push(d->arena, ret) = (AppConfig){.class_name = line->tokens[1].text,
                                                   .base = line->tokens[base].text,
                                                   .name = {.kind = PY_NONE},
                                                   .label = {.kind = PY_NONE}};
        } else if (inside && ret->n && py_assignment(line, &name, &adds, &at)) {
            AppConfig *c = &ret->p[ret->n - 1];
            PyValue value = py_value(d->arena, line, at, NULL);
            if (str_eq(name, STR("name")))
                c->name = value;
            else if (str_eq(name, STR("label")))
                c->label = value;
            else if (str_eq(name, STR("default")))
                c->is_default = str_eq(value.text, STR("True"));
        }
    }
    for (size_t i = 0; i < ret->n; i++)
        inherit(ret, &ret->p[i]);
    return true;
}

static bool
add_app(Django *d, Str module, Str label)
{
    char *name = str_dup(d->arena, module);
    const char *dir = is_module(module) ? find_package(d, module) : NULL;
    if (!dir)
        return unknown(d, "the app '%s' was not found", name);
    if (!label.n) {
        size_t from = module.n;
        while (from && module.p[from - 1] != '.')
            from--;
        label = str_sub(module, from, module.n);
    }
    if (d->apps.n == APPS_MAX)
        return unknown(d, "there are too many apps, at %s", name);
    *vec_push(d->arena, &d->apps) =
        (DjangoApp){.label = str_dup(d->arena, label), .dir = str_dup(d->arena, str_of(dir))};
    return true;
}

/* `module` is what the app is called where its class does not say. */
static bool
add_config(Django *d, const AppConfig *c, Str module)
{
    char *name = str_dup(d->arena, module);
    Str label = {0};
    if (c->label.kind == PY_TEXT)
        label = c->label.text;
    else if (c->label.kind != PY_NONE)
        return unknown(d, "the label of the app '%s' is computed", name);
    if (c->name.kind == PY_TEXT)
        module = c->name.text;
    else if (c->name.kind == PY_NONE && str_eq(c->base, STR("AdminConfig")))
        module = STR("django.contrib.admin");
    else if (c->name.kind == PY_NONE && !str_eq(c->base, STR("AppConfig")))
        return unknown(d, "the class of the app '%s' is made of another one", name);
    return add_app(d, module, label);
}

/* The entry names a package: the one class of its apps.py, or the default one, speaks for it. */
static bool
add_package(Django *d, Str entry, const char *dir)
{
    const char *path = fs_join(d->arena, dir, "apps.py");
    AppConfigs configs = {0};
    const AppConfig *only = NULL, *chosen = NULL;
    size_t candidates = 0;
    if (fs_kind(path) == FS_FILE && !read_configs(d, path, &configs))
        return false;
    for (size_t i = 0; i < configs.n; i++) {
        const AppConfig *c = &configs.p[i];
        if (!str_ends(c->base, STR("Config")))
            continue;
        candidates++;
        only = c;
        if (c->is_default)
            chosen = c;
    }
    if (!chosen && candidates == 1)
        chosen = only;
    return chosen ? add_config(d, chosen, entry) : add_app(d, entry, STR(""));
}

static bool
add_entry(Django *d, Str entry)
{
    char *name = str_dup(d->arena, entry);
    if (!is_module(entry))
        return unknown(d, "the app '%s' was not found", name);
    const char *dir = find_package(d, entry);
    if (dir)
        return add_package(d, entry, dir);
    size_t dot = entry.n;
    while (dot && entry.p[dot - 1] != '.')
        dot--;
    Str class_name = str_sub(entry, dot, entry.n), module = str_sub(entry, 0, dot ? dot - 1 : 0);
    const char *path = dot ? find_module(d, module, d->roots.n) : NULL;
    AppConfigs configs = {0};
    if (!path)
        return unknown(d, "the app '%s' was not found", name);
    if (!read_configs(d, path, &configs))
        return false;
    if (str_ends(module, STR(".apps")))
        module = str_sub(module, 0, module.n - 5);
    for (size_t i = 0; i < configs.n; i++) {
        if (str_eq(configs.p[i].class_name, class_name))
            return add_config(d, &configs.p[i], module);
    }
    return unknown(d, "the class of the app '%s' was not found", name);
}

static bool
find_apps(Django *d)
{
    Str settings, *entries;
    size_t n;
    if (!settings_module(d, &settings) || !read_settings(d, settings, 0))
        return false;
    const PyValue *apps = py_lookup(&d->names, STR("INSTALLED_APPS"));
    if (!apps)
        return unknown(d, "%s is not set in its settings", "INSTALLED_APPS");
    if (d->conditional || apps->kind != PY_LIST || !py_texts(d->arena, apps, &entries, &n))
        return unknown(d, "%s is not a plain list of names", "INSTALLED_APPS");
    for (size_t i = 0; i < n; i++) {
        if (!add_entry(d, entries[i]))
            return false;
    }
    return true;
}

/* ---- migrations ---- */

static void
push_id(Django *d, Words *words, Str app, Str name)
{
    *vec_push(d->arena, words) =
        str_printf(d->arena, STR_FMT "." STR_FMT, STR_ARG(app), STR_ARG(name));
}

/* [("app", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)] */
static bool
read_pairs(Django *d, const PyLine *line, size_t at, Words *ret)
{
    PyValue value = py_value(d->arena, line, at, NULL);
    if (value.kind != PY_LIST)
        return false;
    for (size_t i = 0; i < value.items.n; i++) {
        const PyValue *item = &value.items.p[i];
        bool swappable = item->kind == PY_OTHER &&
                         str_find_str(item->text, STR("swappable_dependency(")) < item->text.n;
        const PyValue *user = py_lookup(&d->names, STR("AUTH_USER_MODEL"));
        Str model = user && user->kind == PY_TEXT ? user->text : STR("auth.User");
        if (item->kind == PY_LIST && item->items.n == 2 && item->items.p[0].kind == PY_TEXT &&
            item->items.p[1].kind == PY_TEXT)
            push_id(d, ret, item->items.p[0].text, item->items.p[1].text);
        else if (swappable && str_find_str(item->text, STR("AUTH_USER_MODEL")) < item->text.n)
            push_id(d, ret, str_sub(model, 0, str_find(model, '.')), STR("__first__"));
        else if (!swappable)
            return false;
    }
    return true;
}

typedef struct DjangoModule {
    bool found; /* it holds a class Migration */
    Words after, replaced, before;
} DjangoModule;

static bool
read_module(Django *d, const char *path, DjangoModule *ret)
{
    SCRATCH_ARENA(scratch);
    PyLines lines;
    bool inside = false;
    size_t indent = 0;
    if (!read_lines(d, scratch, path, &lines))
        return false;
    for (size_t i = 0; i < lines.n; i++) {
        const PyLine *line = &lines.p[i];
        Str name;
        bool adds, ok = true;
        size_t at;
        if (line->indent == 0) {
            inside = py_is(line, 0, "class") && py_is(line, 1, "Migration");
            ret->found = ret->found || inside;
            indent = 0;
            continue;
        }
        indent = indent ? indent : line->indent;
        if (!inside || line->indent != indent || !py_assignment(line, &name, &adds, &at))
            continue;
        if (str_eq(name, STR("dependencies")))
            ok = !adds && read_pairs(d, line, at, &ret->after);
        else if (str_eq(name, STR("replaces")))
            ok = !adds && read_pairs(d, line, at, &ret->replaced);
        else if (str_eq(name, STR("run_before")))
            ok = !adds && read_pairs(d, line, at, &ret->before);
        if (!ok)
            return unknown(d, "'%s' computes what it depends on", path);
    }
    return ret->found || unknown(d, "'%s' has no class Migration", path);
}

typedef struct RunBefore {
    char *id, *target;
} RunBefore;
typedef VEC(RunBefore) RunBefores;

static bool
add_module(Django *d, const DjangoApp *app, const char *path, Str name, RunBefores *early)
{
    DjangoModule module = {0};
    if (d->files->items.n > TOOL_MIGRATIONS_MAX)
        return unknown(d, "there are too many migrations, at %s", path);
    if (!read_module(d, path, &module))
        return false;
    Words id = {0};
    push_id(d, &id, str_of(app->label), name);
    ToolMigration *m = files_add(d->arena, d->files, str_of(id.p[0]), name, path);
    m->after = module.after;
    m->replaced = module.replaced;
    m->replaces = module.replaced.n > 0;
    for (size_t i = 0; i < module.before.n; i++)
        *vec_push(d->arena, early) = (RunBefore){m->id, module.before.p[i]};
    return true;
}

/* As pkgutil lists them: modules, not packages; names beginning with "_" or "~" are passed over. */
static bool
read_app(Django *d, DjangoApp *app, RunBefores *early)
{
    const char *dir = fs_join(d->arena, app->dir, "migrations");
    FsList list;
    app->from = app->to = d->files->items.n;
    if (fs_kind(fs_join(d->arena, app->dir, "migrations.py")) == FS_FILE)
        return unknown(d, "the migrations of '%s' are one module", app->label);
    if (fs_kind(fs_join(d->arena, dir, "__init__.pyc")) == FS_FILE)
        return unknown(d, "the migrations of '%s' are compiled", app->label);
    /* Without it Django takes the app for one without migrations. */
    if (fs_kind(fs_join(d->arena, dir, "__init__.py")) != FS_FILE)
        return true;
    if (!files_list(d->arena, dir, &list, d->files))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.p[i].name);
        if (list.p[i].target_kind != FS_FILE || name.p[0] == '_' || name.p[0] == '~')
            continue;
        if (str_ends(name, STR(".pyc")) || str_ends(name, STR(".so")))
            return unknown(d, "the migrations of '%s' are compiled", app->label);
        Str stem = str_sub(name, 0, name.n - 3);
        if (!str_ends(name, STR(".py")) || str_find(stem, '.') < stem.n)
            continue;
        if (!add_module(d, app, fs_join(d->arena, dir, name.p), stem, early))
            return false;
    }
    app->to = d->files->items.n;
    return true;
}

/* "app.__first__": the app's first by name; "app.__latest__": its last. */
static char *
resolve(const Django *d, char *id)
{
    Str text = str_of(id);
    bool first = str_ends(text, STR(".__first__"));
    if (!first && !str_ends(text, STR(".__latest__")))
        return id;
    Str label = str_sub(text, 0, str_find(text, '.'));
    for (size_t i = 0; i < d->apps.n; i++) {
        const DjangoApp *app = &d->apps.p[i];
        if (str_eq(str_of(app->label), label) && app->to > app->from)
            return d->files->items.p[first ? app->from : app->to - 1].id;
    }
    return id;
}

static void
link_migrations(Django *d, const RunBefores *early)
{
    SCRATCH_ARENA(scratch);
    ToolIndex index = index_new(scratch, d->files->items.n);
    for (size_t i = 0; i < d->files->items.n; i++)
        index_add(&index, d->files->items.p[i].id, i);
    index_sort(scratch, &index);
    for (size_t i = 0; i < d->files->items.n; i++) {
        ToolMigration *m = &d->files->items.p[i];
        for (size_t k = 0; k < m->after.n; k++)
            m->after.p[k] = resolve(d, m->after.p[k]);
    }
    for (size_t i = 0; i < early->n; i++) {
        size_t at;
        if (index_find(&index, resolve(d, early->p[i].target), &at))
            *vec_push(d->arena, &d->files->items.p[at].after) = early->p[i].id;
    }
}

bool
django_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    Django d = {.arena = arena, .project = project, .files = ret};
    RunBefores early = {0};
    *vec_push(arena, &d.roots) = str_dup(arena, str_of(project->dir));
    Words packages = python_roots(arena, project);
    for (size_t i = 0; i < packages.n; i++)
        *vec_push(arena, &d.roots) = packages.p[i];
    d.own = d.roots.n;
    for (size_t i = 1; i < d.roots.n && d.own == d.roots.n; i++) {
        Str root = str_of(d.roots.p[i]);
        if (str_ends(root, STR("/site-packages")) || str_ends(root, STR("/dist-packages")))
            d.own = i;
    }
    if (!find_apps(&d))
        return true;
    for (size_t i = 0; i < d.apps.n; i++) {
        if (!read_app(&d, &d.apps.p[i], &early))
            return true;
    }
    link_migrations(&d, &early);
    return files_by_dependency(arena, ret);
}
