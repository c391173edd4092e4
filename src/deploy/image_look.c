/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration tool of an image: the one that is looked for everywhere else (tools/detect.c), in a
 * directory that has the image's names. It is made of plain files and directories alone: a link is
 * what it leads to, or nothing. The working directory stands in "dir", the programs of the image's
 * PATH as empty files in "bin".
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/env.h"
#include "core/fs.h"
#include "deploy/image_internal.h"
#include "migrate/source.h"
#include "tools/tool.h"
#include "core/banned.h"

enum { VIEW_FILES_MAX = 200000, VIEW_DEPTH_MAX = 64, VIEW_NAME_MAX = 255 };

typedef struct View {
    Arena *arena;
    const Image *image;
    char *path; /* NULL = not there (any more) */
    size_t files;
} View;

/* ---- removing ---- */

/* What lockstep itself has made: no deeper than VIEW_DEPTH_MAX, no links. */
static void
remove_below(int dir, const char *name, int depth)
{
    SCRATCH_ARENA(scratch);
    FsList list;
    Error ignored = ERROR_INIT;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && depth > 0 &&
        fs_list(scratch, str_printf(scratch, "/proc/self/fd/%d", fd), &list, &ignored))
        for (size_t i = 0; i < list.n; i++)
            if (unlinkat(fd, list.p[i].name, 0) != 0)
                remove_below(fd, list.p[i].name, depth - 1);
    if (fd >= 0)
        close(fd);
    (void)unlinkat(dir, name, AT_REMOVEDIR);
}

static void
view_remove(View *v)
{
    if (v->path)
        remove_below(AT_FDCWD, v->path, VIEW_DEPTH_MAX + 3);
    v->path = NULL;
}

/* ---- making ---- */

static bool
cannot_write(const char *path, Error *err)
{
    return error_set_errno(err, ERROR_FAILED, errno, "cannot write '%s'", path);
}

static bool
write_file(const char *path, const ImageNode *node, Error *err)
{
    Str text = node->text;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  node->executable ? 0700 : 0600);
    if (fd < 0)
        return cannot_write(path, err);
    bool ok = true;
    for (size_t at = 0; ok && at < text.n;) {
        ssize_t n = write(fd, text.p + at, text.n - at);
        ok = n > 0 || (n < 0 && errno == EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
    /* What was not kept for its size stays too large for whoever reads it. */
    if (ok && node->size > IMAGE_TEXT_MAX)
        ok = ftruncate(fd, (off_t)IMAGE_TEXT_MAX + 1) == 0;
    if (!ok)
        (void)cannot_write(path, err);
    close(fd);
    return ok;
}

/* How far down a directory is of use: of other people's code only what stands at its top, and the
 * programs in it; of a whole system as working directory none of the system's. */
static int
depth_below(const View *v, const ImageNode *node, int depth)
{
    bool top = node->parent && !node->parent->parent && strcmp(v->image->workdir, "/") == 0;
    if (top && image_is_system(str_of(node->name)))
        return 0;
    return image_is_foreign(str_of(node->name)) && depth > 2 ? 2 : depth - 1;
}

static bool make_dir(View *v, const char *path, const ImageNode *dir, int depth, Error *err);

static bool
make_node(View *v, const char *dir, const char *name, const ImageNode *node, int depth, Error *err)
{
    SCRATCH_ARENA(scratch);
    char *path = fs_join(scratch, dir, name);
    if (strlen(path) >= PATH_MAX - 1 || strlen(name) > VIEW_NAME_MAX)
        return true;
    if (++v->files > VIEW_FILES_MAX)
        return error_set(err, ERROR_USAGE,
                         "the working directory '%s' of '%s' has more than %d "
                         "files",
                         v->image->workdir, v->image->name, VIEW_FILES_MAX);
    if (node->kind == ENTRY_FILE)
        return write_file(path, node, err);
    if (node->kind != ENTRY_DIR)
        return true;
    return make_dir(v, path, node, depth_below(v, node, depth), err);
}

static bool
make_dir(View *v, const char *path, const ImageNode *dir, int depth, Error *err)
{
    if (mkdir(path, 0700) != 0)
        return cannot_write(path, err);
    for (const ImageNode *node = dir->first; node && depth > 0; node = node->next) {
        const ImageNode *is = node->gone ? NULL : tree_behind(v->image->files, node);
        /* A linked directory may hold itself: what it holds is not gone into far. */
        int left = is != node && depth > 3 ? 3 : depth;
        if (is && !make_node(v, path, node->name, is, left, err))
            return false;
    }
    return true;
}

static bool
make_programs(View *v, const char *bin, Error *err)
{
    Str rest = image_search_path(v->image);
    if (mkdir(bin, 0700) != 0)
        return cannot_write(bin, err);
    while (rest.n) {
        size_t end = str_find(rest, ':');
        const ImageNode *dir = tree_find(v->image->files, NULL, str_sub(rest, 0, end));
        for (const ImageNode *node = dir ? dir->first : NULL; node; node = node->next) {
            SCRATCH_ARENA(scratch);
            const ImageNode *is = node->gone ? NULL : tree_behind(v->image->files, node);
            const ImageNode empty = {.kind = ENTRY_FILE, .executable = true};
            if (is && is->kind == ENTRY_FILE && is->executable &&
                fs_kind(fs_join(scratch, bin, node->name)) == FS_ABSENT &&
                !make_node(v, bin, node->name, &empty, 1, err))
                return false;
        }
        rest = str_sub(rest, end + 1, rest.n);
    }
    return true;
}

static bool
view_make(View *v, const char *tmp, Error *err)
{
    const ImageNode *workdir = tree_find(v->image->files, NULL, str_of(v->image->workdir));
    struct statvfs fs;
    char real[PATH_MAX];
    if (!realpath(tmp ? tmp : "/tmp", real))
        return error_set_errno(err, ERROR_FAILED, errno, "cannot use '%s' for temporary files",
                               tmp ? tmp : "/tmp");
    /* A program that may not be executed counts as not there. */
    if (statvfs(real, &fs) == 0 && fs.f_flag & ST_NOEXEC) {
        error_set(err, ERROR_FAILED, "'%s' is mounted noexec", real);
        return error_hint(err, "Name another directory for temporary files with TMPDIR.");
    }
    char *path = str_printf(v->arena, "%s/lockstep-image-XXXXXX", real);
    if (!mkdtemp(path))
        return error_set_errno(err, ERROR_FAILED, errno, "cannot make a directory in '%s'", real);
    v->path = path;
    /* The engine makes a working directory that is not there; nothing is in it. */
    static const ImageNode empty = {.kind = ENTRY_DIR};
    if (workdir && workdir->kind != ENTRY_DIR)
        return error_set(err, ERROR_USAGE, "the working directory '%s' of '%s' is none",
                         v->image->workdir, v->image->name);
    return make_dir(v, fs_join(v->arena, path, "dir"), workdir ? workdir : &empty, VIEW_DEPTH_MAX,
                    err) &&
           make_programs(v, fs_join(v->arena, path, "bin"), err);
}

/* ---- looking ---- */

static void
copy_words(Arena *arena, char *const *words, size_t n, Words *ret)
{
    for (size_t i = 0; i < n && words[i]; i++)
        *vec_push(arena, ret) = str_dup(arena, str_of(words[i]));
}

static void
take_sql(Arena *arena, const char *dir, const char *format, size_t files, ImageMigrations *ret)
{
    ret->found = true;
    ret->tool = str_dup(arena, STR("sql"));
    ret->title = str_dup(arena, STR("SQL files"));
    ret->sql_dir = str_dup(arena, str_of(dir));
    ret->format = str_dup(arena, str_of(format));
    ret->files = files;
    *vec_push(arena, &ret->evidence) = ret->sql_dir;
    copy_words(arena, (char *[]){(char[]){"lockstep"}, (char[]){"migrate"}}, 2, &ret->command);
}

/* In the view, which is the current directory: what is found is named as the image names it. */
static bool
look_here(Arena *arena,
          const Image *image,
          const ImageLook *how,
          const char *bin,
          ImageMigrations *ret,
          Error *err)
{
    ImageMigrations m = {.tool = str_dup(arena, STR("none")), .title = m.tool};
    SourceOptions options = {.dir = how->dir, .format = how->format};
    Source source = {0};
    Detection d = {0};
    Error sql = ERROR_INIT;
    const char *tool = how->tool ? how->tool : "auto";
    bool only_sql = strcmp(tool, "sql") == 0 || (how->dir && strcmp(tool, "auto") == 0);
    bool looked = source_look(arena, &options, &source, &sql);
    bool has_sql = looked && source.dir && (source.files || how->dir);
    if (only_sql) {
        *err = looked ? *err : sql;
        if (has_sql)
            take_sql(arena, source.dir, source.format_name, source.files, &m);
        *ret = m;
        return looked;
    }
    DetectOptions detect = {.environ_ = env_with(arena, image->environ_, "PATH", bin),
                            .tool = how->tool,
                            .command = how->command,
                            .mode = how->mode,
                            .elsewhere = true,
                            .sql_dir = has_sql && source.files ? source.dir : NULL,
                            .sql_format = source.format_name};
    if (!tool_detect(arena, &detect, &d, err))
        return false;
    if (d.sql && d.sql_dir) {
        options.dir = d.sql_dir;
        if (!source_look(arena, &options, &source, err))
            return false;
        take_sql(arena, source.dir, source.format_name, source.files, &m);
    } else if (d.found) {
        const Project *p = &d.project;
        m.found = true;
        m.tool = str_dup(arena, str_of(p->tool->name));
        m.title = str_dup(arena, str_of(p->tool->title));
        copy_words(arena, p->evidence.p, p->evidence.n, &m.evidence);
        copy_words(arena, p->apply, SIZE_MAX, &m.command);
    } else if (!looked) {
        *err = sql;
        return false;
    }
    *ret = m;
    return true;
}

bool
image_look(Arena *arena, const Image *image, const ImageLook *how, ImageMigrations *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    CLEANUP(view_remove) View v = {.arena = scratch, .image = image};
    if (!view_make(&v, env_get(how->environ_, "TMPDIR"), err))
        return error_wrap(err, "cannot look into '%s'", image->name);
    int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = before >= 0 && chdir(fs_join(scratch, v.path, "dir")) == 0;
    if (!ok)
        error_set_errno(err, ERROR_FAILED, errno, "cannot enter '%s'", v.path);
    else
        ok = look_here(arena, image, how, fs_join(scratch, v.path, "bin"), ret, err);
    if (before >= 0 && fchdir(before) != 0 && ok)
        ok = error_set_errno(err, ERROR_FAILED, errno, "cannot go back to where it was started");
    if (before >= 0)
        close(before);
    return ok || error_wrap(err, "in the image '%s'", image->name);
}
