/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an image holds, read without running anything of it: from the container engine (`docker`
 * in PATH: whatever answers to that name), which hands out a container's files that was made and
 * never started, or from an archive (`docker save`, an OCI layout, either of them gzipped).
 *
 * Both are streams of tar, read once from the start to the end. Kept are names, links and the small
 * texts that tell about migrations; nothing is unpacked, so nothing in an archive can reach a file
 * of this machine. Looking for the migration tool needs a directory: one is made under $TMPDIR
 * (0700, of plain files and directories alone, with names of the image's working directory), looked
 * at, and removed before image_look returns.
 *
 * Values of the image's environment are kept for that look, and shown nowhere.
 */

#include "core/error.h"
#include "core/str.h"
#include "core/wait.h"
#include "tools/tool.h"

enum { IMAGE_TIMEOUT_MS = 600000 };

typedef struct ImageTree ImageTree;

typedef struct ImageLabel {
    char *name, *value;
} ImageLabel;

typedef struct ImageOptions {
    Wait *wait;
    char *const *environ_; /* of this process: PATH, DOCKER_HOST, TMPDIR */
    const char *engine;    /* its program; NULL = "docker" */
    const char *host;      /* its --host; NULL = its own choice */
    const char *name;      /* a file, or a reference that the engine knows */
    int64_t timeout_ms;    /* for all of it; 0 = IMAGE_TIMEOUT_MS */
} ImageOptions;

typedef struct Image {
    const char *name;
    bool archive;  /* read from a file */
    char *id;      /* "sha256:..." of its configuration */
    Words digests; /* "name@sha256:...", or of an OCI layout "sha256:..." */
    Words tags;
    char *os, *architecture; /* NULL = not said */
    Words entrypoint, cmd;   /* empty = none */
    char *user;              /* NULL = none named: root */
    char *workdir;           /* "/" where none is named */
    VEC(ImageLabel) labels;  /* by name */
    Words env;               /* names, in the image's order */
    char **environ_;         /* with their values: NAME=value, NULL-terminated */
    Words ports;             /* "8080/tcp" */
    bool healthcheck;        /* there is one, and it is not NONE */
    ImageTree *files;
    char *lockstep; /* path of lockstep in it; NULL = it is not in it */
    char *shell;    /* path of a shell, NULL = none */
    char *
        entrypoint_script; /* path of what is started, where that is a script whose text was kept */
} Image;

/* ERROR_USAGE: no such image or file, not an image, damaged, over a ceiling. ERROR_FAILED: the
 * engine did not answer. */
bool image_read(Arena *arena, const ImageOptions *options, Image *ret, Error *err) MUST_CHECK;

/* Is it there, links followed; relative to the working directory. */
bool image_has(const Image *image, const char *path);
/* Of a small text: absent where there is none, or it was not kept. */
Str image_text(const Image *image, const char *path);

/* Which migrations are in its working directory. */
typedef struct ImageLook {
    const char *dir;    /* --dir and its like, as for the image's own run; NULL = look */
    const char *format; /* NULL = by the files */
    const char *tool;
    char *const *command;
    const char *mode;
    char *const *environ_; /* of this process, for TMPDIR */
} ImageLook;

typedef struct ImageMigrations {
    bool found;             /* false: it was looked, and there are none */
    char *tool;             /* "django", "sql", "none" */
    char *title;            /* for people */
    Words evidence;         /* paths in the working directory */
    Words command;          /* as in the image, in its working directory */
    char *sql_dir, *format; /* of SQL files, else NULL */
    size_t files;
} ImageMigrations;

/* False: it could not be looked (ERROR_USAGE, as tool_detect has it). */
bool image_look(Arena *arena,
                const Image *image,
                const ImageLook *how,
                ImageMigrations *ret,
                Error *err) MUST_CHECK;

/* The files that people ask for, those of them that the working directory has. */
Words image_known_files(Arena *arena, const Image *image);
