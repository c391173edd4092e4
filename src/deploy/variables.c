/* SPDX-License-Identifier: Apache-2.0 */
/* What is secret among them, and what is not. */

#include "deploy/variables.h"

#include "core/banned.h"

/* Needed even where this account may make no Secret. */
static bool
is_plain(Str name)
{
    static const char *const plain[] = {"LOCKSTEP_LOG", "LOCKSTEP_REVISION",
                                        "LOCKSTEP_EXPECT_ENGINE", "LOCKSTEP_EXPECT_VERSION"};
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (str_eq(name, str_of(plain[i])))
            return true;
    return false;
}

static Str
name_of(const char *pair)
{
    Str all = str_of(pair);
    return str_sub(all, 0, str_find(all, '='));
}

bool
variables_are_handed(const Job *job)
{
    for (size_t i = 0; i < job->env.n; i++)
        if (!is_plain(name_of(job->env.p[i])))
            return true;
    return false;
}

json_t *
variables_values(const Job *job)
{
    json_t *values = json_object();
    for (size_t i = 0; i < job->env.n; i++) {
        Str name = name_of(job->env.p[i]);
        if (!is_plain(name))
            json_object_setn_new(values, name.p, name.n, json_string(name.p + name.n + 1));
    }
    return values;
}

json_t *
variables_merge(const Job *job, const json_t *service, const char *secret)
{
    json_t *all = json_array(), *one;
    size_t i;
    json_array_foreach(service, i, one)
    {
        bool replaced = false;
        for (size_t k = 0; k < job->env.n; k++)
            replaced |= str_eq(name_of(job->env.p[k]), value_text(one, "name"));
        if (!replaced)
            json_array_append(all, one);
    }
    for (size_t k = 0; k < job->env.n; k++) {
        Str name = name_of(job->env.p[k]);
        json_array_append_new(
            all,
            !secret || is_plain(name)
                ? json_pack("{s:s%, s:s}", "name", name.p, name.n, "value", name.p + name.n + 1)
                : json_pack("{s:s%, s:{s:{s:s, s:s%}}}", "name", name.p, name.n, "valueFrom",
                            "secretKeyRef", "name", secret, "key", name.p, name.n));
    }
    return all;
}

Job
variables_hidden(Arena *arena, const Job *job)
{
    Job shown = *job;
    shown.env = (Words){0};
    for (size_t i = 0; i < job->env.n; i++) {
        Str name = name_of(job->env.p[i]);
        *vec_push(arena, &shown.env) =
            is_plain(name) ? job->env.p[i] : str_printf(arena, STR_FMT "=***", STR_ARG(name));
    }
    return shown;
}
