/* SPDX-License-Identifier: Apache-2.0 */
/* Fault points for the crash tests; empty without the build option. */

#include "core/fault.h"

#ifdef LOCKSTEP_FAULTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/banned.h"

enum { FAULTS_MAX = 16 };

typedef struct Fault {
    char name[64];
    long at, passed;
    char action; /* k, s, e */
} Fault;

/* Test builds only: process-wide, because a point may stand anywhere. */
static Fault faults[FAULTS_MAX];
static int fault_count;
static bool listing;

static bool
is_action(const char *word)
{
    return strcmp(word, "kill") == 0 || strcmp(word, "stop") == 0 || strcmp(word, "error") == 0;
}

void
fault_setup(const char *spec)
{
    listing = spec && strcmp(spec, "list") == 0;
    fault_count = 0;
    while (spec && *spec && !listing && fault_count < FAULTS_MAX) {
        Fault *f = &faults[fault_count];
        char action[16];
        int used = 0;
        *f = (Fault){0};
        if (sscanf(spec, "%63[^:]:%ld:%15[a-z]%n", f->name, &f->at, action, &used) != 3 ||
            !is_action(action)) {
            /* A crash test with a misspelt point would pass without a crash. */
            fprintf(stderr, "fault: '%s' is not NAME:N:kill|stop|error\n", spec);
            _exit(2);
        }
        f->action = action[0];
        fault_count++;
        spec += used;
        spec += *spec == ',';
    }
}

void
fault_point(const char *name)
{
    if (listing)
        fprintf(stderr, "fault: %s\n", name);
    for (int i = 0; i < fault_count; i++) {
        Fault *f = &faults[i];
        if (strcmp(f->name, name) != 0 || ++f->passed != f->at)
            continue;
        if (f->action == 'e')
            _exit(1);
        raise(f->action == 's' ? SIGSTOP : SIGKILL);
    }
}
#endif
