#!/bin/sh
# Migrates with a Job of its own for this digest, and only then rolls the Deployment out; undoes the
# roll-out when it fails. Arguments of kubectl (--context, --namespace) can be given in KUBECTL.
#
#   k8s/deploy.sh IMAGE@sha256:...
set -eu

case ${1:-} in
*@sha256:?*) image=$1 ;;
*)
    echo "usage: $0 IMAGE@sha256:..." >&2
    exit 2
    ;;
esac
kubectl=${KUBECTL:-kubectl}
here=$(dirname "$0")
digest=${image##*@sha256:}
limit=${LIMIT:-4000} # seconds; the Job's own deadline is shorter
job=@APP@-migrate-$(printf %.12s "$digest")

# $kubectl is a program and its arguments.
# shellcheck disable=SC2086
kube() { $kubectl "$@"; }
is() { kube get job "$job" -o "jsonpath={.status.conditions[?(@.type=='$1')].status}" 2>/dev/null; }

# A Job cannot be changed. The same digest again: one that failed is replaced, any other is joined.
if [ "$(is Failed || true)" = True ]; then
    kube delete job "$job" --wait
fi
if ! kube get job "$job" >/dev/null 2>&1; then
    sed -e "s|generateName: .*|name: $job|" -e "s|image: .*|image: $image|" \
        "$here/migrate/job.yaml" | kube create -f -
fi

# `kubectl wait` takes one condition and would miss the other.
waited=0
until [ "$(is Complete)" = True ]; do
    if [ "$(is Failed)" = True ]; then
        kube logs "job/$job" --tail=50 >&2 || true
        echo "the migration failed; the Deployment was not touched" >&2
        exit 1
    fi
    if [ "$waited" -ge "$limit" ]; then
        echo "no end of the Job $job was seen in $limit s; the Deployment was not touched" >&2
        exit 1
    fi
    sleep 2
    waited=$((waited + 2))
done
kube logs "job/$job" --tail=20 || true

sed -e "s|image: .*|image: $image|" "$here/deployment.yaml" | kube apply -f -
if ! kube rollout status deployment/@APP@ --timeout=20m; then
    if kube rollout undo deployment/@APP@; then
        echo "the new version did not become ready: the old one is back, on the new schema" >&2
    else
        echo "the new version did not become ready, and there is no older one" >&2
    fi
    exit 1
fi
