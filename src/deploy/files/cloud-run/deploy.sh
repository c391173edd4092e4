#!/bin/sh
# Migrates with a Cloud Run job of the new image, waits for it, and only then deploys the service.
#
#   PROJECT=... REGION=... SECRET=... cloud-run/deploy.sh IMAGE@sha256:...
#
# SECRET is the Secret Manager secret that holds DATABASE_URL; CLOUDSQL, where the database is in Cloud
# SQL, the instance's connection name (PROJECT:REGION:INSTANCE).
set -eu

case ${1:-} in
*@sha256:?*) image=$1 ;;
*)
    echo "usage: PROJECT=... REGION=... SECRET=... $0 IMAGE@sha256:..." >&2
    exit 2
    ;;
esac
app=@APP@
: "${PROJECT:?}" "${REGION:?}" "${SECRET:?}"
run() {
    gcloud run "$@" --project "$PROJECT" --region "$REGION" --quiet
}

# Three more tries of ten minutes each would be the default: a failing migration runs once here, and a
# long one has its time.
run jobs deploy "$app-migrate" --image "$image" --command lockstep --args migrate \
    --tasks 1 --parallelism 1 --max-retries 0 --task-timeout "${TIMEOUT:-3600s}" \
    --set-secrets "DATABASE_URL=$SECRET:latest" \
    ${CLOUDSQL:+--set-cloudsql-instances "$CLOUDSQL"} \
    ${SERVICE_ACCOUNT:+--service-account "$SERVICE_ACCOUNT"}
if ! run jobs execute "$app-migrate" --wait; then
    echo "the migration failed; the service was not touched. Its log:" >&2
    echo "  gcloud run jobs executions list --job $app-migrate --project $PROJECT --region $REGION" >&2
    exit 1
fi

# Services spell it differently: --add-cloudsql-instances.
run deploy "$app" --image "$image" --port @PORT@ \
    --set-secrets "DATABASE_URL=$SECRET:latest" \
    ${CLOUDSQL:+--add-cloudsql-instances "$CLOUDSQL"} \
    ${SERVICE_ACCOUNT:+--service-account "$SERVICE_ACCOUNT"}
