/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Platform files: what `lockstep init PLATFORM` writes, fitted to the project in a directory.
 * files.def says which, files/<platform>/ holds their text. Nothing here starts a program or
 * connects to anything. Everything returned lives in the arena.
 */

#include "core/error.h"
#include "core/str.h"

typedef enum PlatformFlag {
    NEEDS_PROGRAM = 1 << 0,   /* its files start the service: which program that is must be known */
    RELEASE_COMMAND = 1 << 1, /* `lockstep migrate` reaches the image through its ENTRYPOINT */
    ENTRYPOINT_MIGRATES = 1 << 2, /* the image's ENTRYPOINT is to be lockstep itself */
} PlatformFlag;

typedef struct DeployPlatform {
    const char *name;  /* init NAME: "cloud-run" */
    const char *title; /* for people: "Cloud Run" */
    unsigned flags;
} DeployPlatform;

extern const DeployPlatform deploy_platforms[]; /* ends with name NULL */
/* ERROR_USAGE with the nearest name suggested. */
const DeployPlatform *deploy_platform_find(const char *name, Error *err) MUST_CHECK;

/* ---- what is known of the project (files_facts.c) ---- */

typedef struct FactsOptions { /* what the command line said; NULL and 0 = look for it */
    const char *dir;          /* "." */
    const char *app, *image, *probe;
    const char *lockstep_image; /* that the binary is copied from; NULL = lockstep:VERSION */
    const char *port;
    char *const *program; /* NULL-terminated words */
} FactsOptions;

typedef struct Facts {
    char *app, *app_from;     /* a DNS label */
    char *image, *image_from; /* image_from NULL: nobody named one */
    char *lockstep_image;
    int port;
    char *port_from;
    char *probe; /* path that answers 200 when the service is ready; NULL = a connection will do */
    /* The service's program: words, and the same as a shell takes it. NULL = not known. */
    char **program;
    char *program_shell, *program_from;
    char *entrypoint; /* of the Dockerfile, as it stands there; NULL = none */
    bool entrypoint_is_lockstep;
    const char *base, *user; /* of an image for such a project */
    char *install;           /* lines of its Dockerfile */
} Facts;

/* ERROR_USAGE: a malformed option, a manifest that cannot be read. */
bool facts_find(Arena *arena, const FactsOptions *options, Facts *ret, Error *err) MUST_CHECK;

/* ---- the files ---- */

typedef enum PlannedState {
    PLANNED_NEW,   /* not there */
    PLANNED_SAME,  /* there, byte for byte */
    PLANNED_HAS,   /* there, with every line that matters in it */
    PLANNED_OTHER, /* there, with other content */
} PlannedState;

typedef struct PlannedFile {
    const char *target; /* below the directory */
    const char *purpose;
    unsigned mode;
    Str text; /* the whole file */
    Str add;  /* the lines that one which is there lacks */
    PlannedState state;
} PlannedFile;

typedef struct FilesPlan {
    VEC(PlannedFile) files;
    Str next;          /* what to do now, for people */
    VEC(char *) notes; /* sentences: what this project needs beside */
} FilesPlan;

/* Reads what is there, writes nothing. ERROR_USAGE: the program is needed and not known, a target
 * is a directory or a link, or its folder lies outside `dir`. */
bool files_plan(Arena *arena,
                const DeployPlatform *platform,
                const Facts *facts,
                const char *dir,
                FilesPlan *ret,
                Error *err) MUST_CHECK;
/* One file, whole or not at all; folders are made. */
bool files_write(const PlannedFile *file, const char *dir, Error *err) MUST_CHECK;
