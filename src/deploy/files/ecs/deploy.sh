#!/bin/sh
# Migrates with a task of the new revision, waits for it, and only then updates the service.
#
#   SUBNETS=subnet-1,subnet-2 SECURITY_GROUPS=sg-1 ecs/deploy.sh CLUSTER TASK_DEFINITION SERVICE
#
# TASK_DEFINITION is FAMILY:REVISION, with the new image by digest and DATABASE_URL among its secrets.
set -eu

if [ $# -ne 3 ]; then
    echo "usage: SUBNETS=... SECURITY_GROUPS=... $0 CLUSTER TASK_DEFINITION SERVICE" >&2
    exit 2
fi
cluster=$1 definition=$2 service=$3
container=${CONTAINER:-@APP@}
limit=${LIMIT:-3600} # seconds; `aws ecs wait` would give up after 10 minutes
network="awsvpcConfiguration={subnets=[${SUBNETS:?}],securityGroups=[${SECURITY_GROUPS:?}],assignPublicIp=${PUBLIC_IP:-DISABLED}}"

task=$(aws ecs run-task --cluster "$cluster" --task-definition "$definition" \
    --launch-type "${LAUNCH_TYPE:-FARGATE}" --network-configuration "$network" --count 1 \
    --overrides "{\"containerOverrides\":[{\"name\":\"$container\",\"command\":[\"lockstep\",\"migrate\"]}]}" \
    --query 'tasks[0].taskArn' --output text)
if [ -z "$task" ] || [ "$task" = None ]; then
    echo "the task was not placed: see the service events of $cluster" >&2
    exit 1
fi
echo "migrating in $task"

ask() {
    aws ecs describe-tasks --cluster "$cluster" --tasks "$task" --query "$1" --output text
}
waited=0
until [ "$(ask 'tasks[0].lastStatus')" = STOPPED ]; do
    if [ "$waited" -ge "$limit" ]; then
        echo "still running after $limit s, and it goes on: $task. The service was not updated." >&2
        exit 1
    fi
    sleep 5
    waited=$((waited + 5))
done

code=$(ask "tasks[0].containers[?name=='$container'].exitCode | [0]")
if [ "$code" != 0 ]; then
    # No exit code: the container was never started.
    echo "the migration failed (exit code $code): $(ask 'tasks[0].[stopCode,stoppedReason]')" >&2
    echo "The service was not updated." >&2
    exit 1
fi
aws ecs update-service --cluster "$cluster" --service "$service" \
    --task-definition "$definition" --query 'service.serviceArn' --output text
aws ecs wait services-stable --cluster "$cluster" --services "$service"
