/* SPDX-License-Identifier: Apache-2.0 */
/* Platform files of any content: looked at, and each finding has all its parts. Files stand one
 * behind the other, each behind a line "== PATH". */

#include "deploy/look_internal.h"

#include <stdlib.h>

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCRATCH_ARENA(arena);
    Findings findings = {0};
    Scene scene = {
        .arena = arena, .findings = &findings, .versioned = true, .image_sqlite = STR_ABSENT};
    Str rest = {(const char *)data, size}, line;

    while (look_next_line(&rest, &line)) {
        if (!str_starts(line, STR("== ")) || str_find(line, 0) < line.n)
            continue;
        size_t before = scene.files.n, end = str_find_str(rest, STR("\n== "));
        look_add_file(&scene, str_dup(arena, str_sub(line, 3, line.n)));
        /* Its own copy, so that reading beyond it is seen. */
        if (scene.files.n > before)
            scene.files.p[before].text = str_copy(arena, str_sub(rest, 0, end));
        rest = str_sub(rest, end, rest.n);
    }
    for (size_t i = 0; i < scene.files.n; i++)
        look_parse(&scene, &scene.files.p[i]);
    look_at_files(&scene);
    for (size_t i = 0; i < findings.n; i++) {
        const Finding *f = &findings.p[i];
        if (!deploy_rule(f->rule) || !f->message[0] || !f->safer || !f->file || !f->line)
            abort();
    }
    return 0;
}
