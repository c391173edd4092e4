/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Findings on stdout, in the form that who reads them understands. */

#include "cmd/cmd.h"
#include "core/finding.h"

struct json_t;

/* What `--format` takes; a command that prints findings lists it among its options. */
#define FINDINGS_FORMS "text|json|github|sarif|gitlab"

/* {"findings": [...]}; the caller owns the reference and may add to it. */
struct json_t *findings_json(Arena *arena, const Findings *findings);

/*
 * As --format or --json say: text, `object` (of which the reference is taken; it is printed as JSON
 * alone), GitHub's workflow commands, SARIF 2.1.0, or GitLab's code quality report. With `github`
 * they are also appended as Markdown to the file that GITHUB_STEP_SUMMARY names. `nothing` is the
 * sentence where there is none. Sets the status: 6 where one is an error.
 */
bool findings_print(Cli *cli,
                    const Findings *findings,
                    struct json_t *object,
                    const char *nothing,
                    int *ret_status,
                    Error *err) MUST_CHECK;
