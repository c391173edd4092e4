/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migration files: the first byte chooses format and dialect, the second the file's name, the rest
 * is its content. A file is read, or refused with its name; what is run lies inside the file.
 */

#include "migrate/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define JOURNAL "meta/_journal.json"

static const struct {
    const char *format, *file;
} kinds[] = {
    {"plain", "001_a.sql"},
    {"plain", "001_a.down.sql"},
    {"dbmate", "001_a.sql"},
    {"golang-migrate", "1_a.up.sql"},
    {"golang-migrate", "1_a.down.sql"},
    {"goose", "00001_a.sql"},
    {"flyway", "V1.2__a.sql"},
    {"flyway", "R__a.sql"},
    {"diesel", "1_a/up.sql"},
    {"sqlx", "1_a.sql"},
    {"tern", "001_a.sql"},
    {"auto", "001_a.sql"},
    {"prisma", "1_a/migration.sql"},
    {"drizzle", "0000_a.sql"},
    {"drizzle", JOURNAL},
};

/* Two directories, made once: one that is scanned, with one file in it. */
static const char *
directory(void)
{
    static char path[4096];
    const char *where = getenv("TMPDIR");
    if (path[0])
        return path;
    (void)snprintf(path, sizeof path, "%s/lockstep-fuzz-XXXXXX", where ? where : "/tmp");
    if (mkdtemp(path) == NULL)
        abort();
    return path;
}

static void
write_file(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

static void
load_all(Arena *arena, Source *source, const SourceOptions *options)
{
    for (size_t i = 0; i < source->migrations.n; i++) {
        Migration *m = &source->migrations.p[i];
        Error err = ERROR_INIT;
        if (!migration_load(arena, source, m, options, &err)) {
            if (err.code == ERROR_NONE || err.message[0] == '\0')
                abort();
            continue;
        }
        if (m->up.from > m->up.to || m->up.to > m->up.text.n || m->checksum == NULL)
            abort();
        for (size_t s = 0; s < m->up.statements.n; s++)
            if (m->up.statements.p[s].offset + m->up.statements.p[s].length > m->up.body.n)
                abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    SCRATCH_ARENA(arena);
    size_t kind = data[1] % COUNT_OF(kinds);
    char *path = fs_join(arena, directory(), kinds[kind].file);
    char *folder = fs_join(arena, directory(), "1_a"), *beside = NULL;
    bool in_folder = str_find(str_of(kinds[kind].file), '/') != str_of(kinds[kind].file).n;
    if (strcmp(kinds[kind].format, "drizzle") == 0) {
        /* The journal for a file, or a file for the journal. */
        static const char journal[] = "{\"entries\": [{\"when\": 1, \"tag\": \"0000_a\"}]}";
        folder = fs_join(arena, directory(), "meta");
        beside = fs_join(arena, directory(), in_folder ? "0000_a.sql" : JOURNAL);
        (void)mkdir(folder, 0700);
        write_file(beside, (const uint8_t *)journal, sizeof(journal) - 1);
        in_folder = true;
    }
    if (in_folder)
        (void)mkdir(folder, 0700);
    write_file(path, data + 2, size - 2);

    SourceOptions options = {
        .dir = directory(), .format = kinds[kind].format, .dialect = (SqlDialect)(data[0] % 3)};
    Source source = {0};
    Error err = ERROR_INIT;
    if (source_scan(arena, &options, &source, &err))
        load_all(arena, &source, &options);
    unlink(path);
    if (beside)
        unlink(beside);
    if (in_folder)
        rmdir(folder);
    return 0;
}
