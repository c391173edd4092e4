#!/bin/sh
# Migrates as a job of the swarm, and updates the stack only when that has succeeded.
#
#   swarm/deploy.sh IMAGE@sha256:...
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 IMAGE@sha256:..." >&2
    exit 2
fi
image=$1
app=@APP@
network=${NETWORK-@APP@}
limit=${LIMIT:-3600} # seconds
# A name is taken by one at a time: a second deploy ends here.
job=$app-migrate

last() {
    docker service logs --raw "$job" 2>&1 || true
}
if ! docker service create --detach --quiet --name "$job" --mode replicated-job \
    --restart-condition none ${network:+--network "$network"} \
    --secret "${app}_database_url" --env DATABASE_URL_FILE="/run/secrets/${app}_database_url" \
    --with-registry-auth --entrypoint lockstep "$image" migrate >/dev/null; then
    echo "not started. Is another deploy under way? docker service ps $job shows it, and" >&2
    echo "docker service rm $job removes one that was left behind." >&2
    exit 1
fi
trap 'docker service rm "$job" >/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Attached, the client would wait for ever for a job that has failed.
waited=0 state=
while :; do
    task=$(docker service ps --no-trunc --quiet "$job" | head -n 1)
    if [ -n "$task" ]; then
        state=$(docker inspect --format '{{.Status.State}}' "$task")
    fi
    case $state in
    complete) break ;;
    failed | rejected | orphaned | shutdown | remove)
        last >&2
        docker inspect --format 'the migration failed: {{.Status.Err}} (exit code {{if .Status.ContainerStatus}}{{.Status.ContainerStatus.ExitCode}}{{end}})' "$task" >&2
        echo "The stack was not touched." >&2
        exit 1
        ;;
    esac
    if [ "$waited" -ge "$limit" ]; then
        last >&2
        echo "still migrating after $limit s. The stack was not touched." >&2
        exit 1
    fi
    sleep 1
    waited=$((waited + 1))
done
last
IMAGE=$image docker stack deploy --with-registry-auth --compose-file "$(dirname "$0")/stack.yaml" "$app"
