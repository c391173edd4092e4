/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the parts of the look at platform files share. Private to look*.c. */

#include "core/fs.h"
#include "deploy/look.h"
#include "doc/doc.h"

typedef enum LookRule {
#define LOOK(id, name, severity, what, mend) LOOK_##id,
#include "deploy/look.def"
#undef LOOK
    LOOK_COUNT
} LookRule;

typedef enum SceneKind {
    SCENE_NONE,
    SCENE_YAML, /* told apart by what it holds: manifest, compose, pipeline */
    SCENE_TOML,
    SCENE_JSON,
    SCENE_DOCKERFILE,
    SCENE_PROCFILE,
    SCENE_SCRIPT,
    SCENE_TERRAFORM,
    SCENE_VARIABLES, /* .env */
    SCENE_KEY        /* by its name a private key */
} SceneKind;

typedef struct SceneFile {
    char *path;       /* below the current directory, no "./" */
    const char *name; /* its last part */
    SceneKind kind;
    Str text;
    Docs docs;   /* of YAML, JSON, TOML; none where it cannot be read */
    char *chart; /* a template of Helm: its chart's directory; NULL = no template */
} SceneFile;

typedef struct Place {
    const SceneFile *file;
    size_t line;
} Place;

/* What starts in every container of the image. */
typedef struct Entry {
    bool there, by_shell, migrates, by_lockstep;
    Str words; /* blanks between them */
    Place at;
} Entry;

/* A command that a platform runs once before it deploys. */
typedef struct Release {
    Place at;
    Str command;
    bool shell; /* the platform starts a shell where the image has no ENTRYPOINT */
} Release;

/* A thing of Kubernetes that others name. */
typedef struct Thing {
    Place at;
    Str kind, name;
    const char *chart;
    bool hook;
} Thing;

typedef struct Scene {
    Arena *arena;
    Findings *findings;
    VEC(SceneFile) files;
    bool versioned; /* the files are those under version control */
    Entry entry;
    Str image_sqlite; /* the Dockerfile's own database, absent = none */
    Place image_sqlite_at;
    VEC(Str) image_volumes;
    VEC(Release) releases;
    VEC(Thing) things, needs; /* of charts: what is made, what pre-install hooks name */
    VEC(Thing) job_images;    /* of Jobs that migrate and are no hooks; `name` is the image */
    VEC(Thing) services;      /* Deployments without a gate; `name` theirs, `kind` the image */
} Scene;

/* ---- look.c ---- */
void look_at_files(Scene *s); /* all of them, read and parsed */
void look_add(Scene *s, LookRule rule, Place at, const char *subject, ...) PRINTF_LIKE(4, 5);
/* `text` runs migrations: by lockstep, by a known tool, by a script of that name. */
bool look_migrates(Str text, bool *ret_by_lockstep);
bool look_has(Str text, const char *what);
bool look_mentions(const Scene *s, const char *what); /* any file but templates' data */
Str look_joined(Scene *s, const DocNode *node); /* words of a list, or the text; "" for NULL */
/* Both keys' words, as a container starts with them. */
Str look_command(Scene *s, const DocNode *of, const char *first, const char *second);
bool look_next_line(Str *rest, Str *ret);
/* sqlite:... as the value of a variable: the path; absent when it is none, or in memory. */
Str look_sqlite_path(Str value);
bool look_covers(Str directory, Str path); /* a volume at `directory` holds `path` */

/* ---- look_scripts.c ---- */
/* Like look_next_line, and empty where nothing is run: comments, what is only printed. `until` is
 * STR("") at first, and passed on from line to line. */
bool look_next_command(Str *rest, Str *until, Str *ret);
/* Without what scripts of developers do, that no deploy starts. */
void look_leave_out_harmless(Scene *s);

/* ---- each looks at one file ---- */
void look_at_dockerfile(Scene *s, const SceneFile *f);
void look_at_procfile(Scene *s, const SceneFile *f);
void look_at_platform(Scene *s, const SceneFile *f); /* app.json, fly, render, railway */
void look_at_manifest(Scene *s, const SceneFile *f);
void look_at_compose(Scene *s, const SceneFile *f);
void look_at_pipeline(Scene *s, const SceneFile *f);
void look_at_lines(Scene *s, const SceneFile *f);
void look_at_terraform(Scene *s, const SceneFile *f);
void look_for_secrets(Scene *s, const SceneFile *f);

/* ---- when all files are known ---- */
void look_at_entry(Scene *s);
void look_at_releases(Scene *s);
void look_at_things(Scene *s);
/* Overwrites what may be a secret in a command: passwords in URLs, values of variables and options
 * that are named so. */
void look_mask(char *text);
/* A Kubernetes Secret with values in it. */
void look_at_secret(Scene *s, const SceneFile *f, const DocNode *doc);

/* ---- look_files.c ---- */
void look_add_file(Scene *s, const char *path); /* unless nothing of it matters here */
void look_parse(Scene *s, SceneFile *f);        /* its text; what cannot be read has no docs */
bool look_find_files(Scene *s, const DeployLook *how, Error *err) MUST_CHECK;
/* ---- look_dokku.c ---- */
bool look_at_dokku(Scene *s, const DeployLook *how, Error *err) MUST_CHECK;
