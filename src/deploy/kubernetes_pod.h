/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Objects of Kubernetes for a migration: made from those of the service, and read. */

#include "deploy/kubernetes.h"

/* Holds the values that were handed over. The caller owns what both return. */
json_t *kube_pod_secret(const Deploy *d, const char *name, const Job *job);
/* `server` = what `kubectl version` says. */
json_t *kube_pod_job(const Deploy *d,
                     const char *name,
                     const Job *job,
                     const json_t *deployment,
                     const json_t *server);

/* Of a list of Jobs and pods: the pod made last, and the Job; NULL = none. Borrowed. */
const json_t *kube_pod_newest(const json_t *list, const json_t **ret_job);
/* Its container's status; NULL = there is none yet. */
const json_t *kube_pod_container(const json_t *pod, const char *name);
/* Its node took it away: how it ended says nothing about what ran in it. */
bool kube_pod_is_disrupted(const json_t *pod);
