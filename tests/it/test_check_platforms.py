# SPDX-License-Identifier: Apache-2.0
"""`check` on platform files: each rule where it has to speak, and where it has to be silent.

In the files below `#! rule` at the end of a line is what is expected there; it is taken off before
the file is written.
"""

import json
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = (ROOT / "src/deploy/look.def").read_text(encoding="utf-8")
MARK = re.compile(r" *#! ([a-z, -]+)$", re.MULTILINE)

# A password that somebody might really use; support/secrets.py does not know it.
PASSWORD = "".join(("Zq8", "rT4", "vLw", "9kX"))


def project(lockstep, files, git=True):
    """Writes the files; {(rule, file, line)} that are marked in them."""
    expected = set()
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            for found in MARK.findall(line):
                expected |= {(rule.strip(), path, number) for rule in found.split(",")}
        lockstep.write(path, MARK.sub("", text))
    if git:
        subprocess.run(["git", "init", "-q", lockstep.dir], check=True, env=lockstep.env)
    return expected


def look(lockstep, *args):
    result = lockstep.run("check", "--json", *args, expect=None)
    assert result.exit in (0, 6), result
    found = [one for one in result.json()["findings"] if one["rule"] != "nothing-here"]
    assert result.exit == (6 if any(one["severity"] == "error" for one in found) else 0), result
    for one in found:
        assert one["message"] and one["safer"] and "%s" not in one["message"], one
    return found


def places(found):
    return {(one["rule"], one["file"], one["line"]) for one in found}


JOB = """apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  annotations: {{{annotations}}}
spec:
  backoffLimit: 0
  activeDeadlineSeconds: 3600
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: registry.example.com/app@sha256:0123
          args: [lockstep, migrate]
"""

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  template:
    spec:
      initContainers:
        - name: schema
          image: registry.example.com/app@sha256:0123
          command: [lockstep, wait, --for, schema]
      containers:
        - name: web
          image: registry.example.com/app@sha256:0123
          ports: [{containerPort: 8000}]
          readinessProbe: {httpGet: {path: /health, port: 8000}}
"""

HELM_JOB = """apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "app.fullname" . }}-migrate
  labels:
    {{- include "app.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  backoffLimit: 0
  activeDeadlineSeconds: {{ .Values.deadline }}
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: "{{ .Values.image.repository }}@{{ .Values.image.digest }}"
          args: ["lockstep", "migrate"]
          envFrom:
            - secretRef:
                name: {{ include "app.fullname" . }}-env%s
"""

HELM_SECRET = """apiVersion: v1
kind: Secret
metadata:
  name: {{ include "app.fullname" . }}-env
%sstringData:
  DATABASE_URL: {{ .Values.databaseUrl | quote }}
"""

# What must be found, by the rule's name.
WRONG = {
    "entrypoint-migrates": {
        "Dockerfile": 'FROM python:3\nENTRYPOINT ["/app/prod.sh"]\nCMD ["gunicorn", "app"]\n',
        "deploy/prod.sh": "#!/bin/sh\nset -e\npython manage.py migrate  #! entrypoint-migrates\n"
        'exec "$@"\n',
    },
    "entrypoint-migrates in a shell's line": {
        "Dockerfile": "FROM python:3\n"
        "ENTRYPOINT python manage.py migrate && gunicorn app  #! entrypoint-migrates\n",
    },
    "migrates-by-hand in scripts that a deploy starts": {
        "Procfile": "web: bin/go\n",
        "bin/go": '#!/bin/sh\necho "manage.py migrate"; manage.py migrate  #! migrates-by-hand\n',
        "start.sh": "cat <<EOF\nEOF\nalembic upgrade head  #! migrates-by-hand\n",
        "scripts/models.sh": "./manage.py makemigrations  #! generates-at-deploy\n",
        "compose.yaml": "services:\n  web: {image: x:1, command: [sh, scripts/models.sh]}\n",
    },
    "migrates-twice": {
        "Dockerfile": 'FROM python:3\nENTRYPOINT ["lockstep", "run", "--"]\n',
        "Procfile": "release: npm run db:migrate  #! migrates-twice\nweb: node server.js\n",
    },
    "migrates-twice by a script, on Fly, Render and Railway": {
        "Dockerfile": 'FROM python:3\nENTRYPOINT ["/tini", "--", "./start-entrypoint.sh"]\n',
        "start-entrypoint.sh": '#!/bin/sh\nnpm run migrate  #! entrypoint-migrates\nexec "$@"\n',
        "fly.toml": '[deploy]\nrelease_command = "lockstep migrate"  #! migrates-twice\n'
        'release_command_timeout = "30m"\n',
        "render.yaml": "services:\n- type: web\n  preDeployCommand: lockstep migrate"
        "  #! migrates-twice\n",
        "railway.toml": '[deploy]\npreDeployCommand = ["lockstep migrate"]  #! migrates-twice\n',
    },
    "predeploy-migrates": {
        "app.json": '{"scripts": {"dokku": {\n"predeploy": "lockstep migrate"\n}}}\n',
    },
    "release-needs-shell": {
        "Dockerfile": 'FROM x\nENTRYPOINT ["/docker-init"]\n',
        "Procfile": "release: ./prepare && lockstep migrate  #! release-needs-shell\n",
        "fly.toml": '[deploy]\nrelease_command = "a | b"  #! release-needs-shell\n',
    },
    "job-retries and the rest of a plain Job": {
        "k8s/migrate.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata:\n"
        "  name: app-migrate  #! job-name\n"
        "spec:  #! job-retries, job-deadline, ttl\n"
        "  template:\n    spec:\n      restartPolicy: OnFailure  #! job-restart-policy\n"
        "      containers:\n      - name: app\n        image: app:latest  #! tag-latest\n"
        "        command: [python, manage.py, migrate]\n",
    },
    "job-retries, too many": {
        "k8s/migrate.yaml": JOB.format(
            name="app-migrate-abc", annotations="helm.sh/hook: pre-upgrade"
        ).replace("backoffLimit: 0", "backoffLimit: 4  #! job-retries"),
    },
    "job-retries on Cloud Run": {
        "job.yaml": "apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: migrate}\n"
        "spec:\n  template:\n    spec:\n      template:\n"
        "        spec:  #! job-retries, job-deadline\n"
        "          containers:\n          - image: x@sha256:1\n            args: [lockstep, migrate]\n",
        "deploy.sh": "#!/bin/sh\n"
        'gcloud run jobs deploy app-migrate --image "$IMAGE" \\  #! job-retries, job-deadline\n'
        "  --region europe-west1\n"
        'gcloud run jobs deploy app-migrate --image "$IMAGE" --max-retries=2 \\  #! job-retries\n'
        "  --task-timeout 2h\n",
        "main.tf": 'resource "google_cloud_run_v2_job" "migrate" {  #! job-retries, job-deadline\n'
        '  name = "x"\n  template {\n    template {\n      containers { image = var.image }\n'
        "    }\n  }\n}\n",
    },
    "job-deadline on Fly": {
        "fly.toml": '[deploy]\nrelease_command = "lockstep migrate"  #! job-deadline\n',
    },
    "hook-needs-secret": {
        "chart/templates/job.yaml": HELM_JOB % "  #! hook-needs-secret",
        "chart/templates/secret.yaml": HELM_SECRET % "",
        "chart/Chart.yaml": "name: app\n",
    },
    "hook-post-upgrade": {
        "chart/templates/job.yaml": JOB.format(
            name="app-migrate  #! hook-post-upgrade",
            annotations='helm.sh/hook: "post-install,post-upgrade"',
        ),
    },
    "init-container-migrates": {
        "deploy.yaml": DEPLOYMENT.replace(
            "        - name: schema", "        - name: schema" "  #! init-container-migrates"
        ).replace("lockstep, wait, --for, schema", "alembic, upgrade, head"),
    },
    "missing-probe": {
        "deploy.yaml": re.sub(r"\n *readinessProbe.*", "", DEPLOYMENT).replace(
            "  name: web\nspec", "  name: web  #! missing-probe\nspec"
        ),
    },
    "missing-gate in Kubernetes": {
        "deploy.yaml": re.sub(r" *initContainers:(\n.*){3}", "", DEPLOYMENT).replace(
            "  name: web\nspec", "  name: web  #! missing-gate\nspec"
        ),
        "job.yaml": JOB.format(name="app-migrate-DIGEST", annotations=""),
    },
    "missing-gate in Compose": {
        "compose.yaml": "services:\n  migrate:\n    build: .\n    command: lockstep migrate\n"
        "  web:  #! missing-gate\n    build: .\n    depends_on: [migrate]\n"
        "  worker:  #! missing-gate\n    build: .\n    command: work\n"
        "    depends_on: {migrate: {condition: service_started}}\n",
    },
    "swarm-depends-on": {
        "stack.yml": "services:\n  web:\n    image: app:latest  #! tag-latest\n"
        "    depends_on: [db]  #! swarm-depends-on\n  db:\n    image: postgres:17\n",
        "deploy.sh": "docker stack deploy -c other.yml app\n",
        "other.yml": "services:\n  web:\n    image: app:1\n    depends_on:  #! swarm-depends-on\n"
        "      db: {condition: service_healthy}\n",
    },
    "sqlite-no-volume": {
        "compose.yaml": "services:\n  web:\n    image: app:1\n    environment:\n"
        "      DATABASE_URL: sqlite:////data/app.db  #! sqlite-no-volume\n"
        "    volumes: ['uploads:/uploads']\n"
        "  list:\n    image: app:1\n    environment:\n"
        "    - DATABASE_URL=sqlite3:/data/app.db  #! sqlite-no-volume\n",
        "fly.toml": '[env]\nDATABASE_URL = "sqlite:////data/app.db"  #! sqlite-no-volume\n',
        "deploy.yaml": DEPLOYMENT + "          env:\n          - name: DATABASE_URL\n"
        "            value: sqlite:////data/app.db  #! sqlite-no-volume\n",
        "render.yaml": "services:\n- type: web\n  envVars:\n  - key: DATABASE_URL\n"
        "    value: sqlite:////var/data/app.db  #! sqlite-no-volume\n",
    },
    "sqlite-no-volume in Fly's release command": {
        "fly.toml": '[env]\nDATABASE_URL = "sqlite:////data/app.db"  #! sqlite-no-volume\n'
        '[[mounts]]\nsource = "data"\ndestination = "/data"\n'
        '[deploy]\nrelease_command = "lockstep migrate"\nrelease_command_timeout = "1h"\n',
    },
    "sqlite-no-volume of the image": {
        "Dockerfile": "FROM x\nENV A=b \\\n    DATABASE_URL=sqlite:////data/app.db\n",
        "compose.yaml": "services:\n  web:  #! sqlite-no-volume\n    build: .\n",
    },
    "cancel-in-progress": {
        ".github/workflows/deploy.yml": "on: {push: {branches: [main]}}\nconcurrency:\n  group: x\n"
        "  cancel-in-progress: true  #! cancel-in-progress\njobs:\n  deploy:\n    steps:\n"
        "    - run: |\n        ssh dokku@example.com git:from-image app $IMAGE\n",
        ".github/workflows/job.yml": "on: push\njobs:\n  deploy:\n    concurrency:\n      group: x\n"
        "      cancel-in-progress: true  #! cancel-in-progress\n    environment: production\n"
        "    steps:\n    - run: python manage.py migrate\n",
        ".gitlab-ci.yml": "default: {interruptible: true}  #! cancel-in-progress\n"
        "test: {script: [python manage.py migrate, pytest]}\n"
        "deploy:\n  script:\n  - lockstep deploy\n",
    },
    "strict-host-key": {
        ".github/workflows/x.yml": "on: push\njobs:\n  x:\n    steps:\n"
        "    - run: ssh -o StrictHostKeyChecking=no host true  #! strict-host-key\n",
        "bin/deploy": "#!/bin/sh\n# StrictHostKeyChecking=no\n"
        "echo 'StrictHostKeyChecking no' >> ~/.ssh/config  #! strict-host-key\n",
    },
    "env-file-quotes": {
        "deploy.sh": "ssh dokku@h config:export --format envfile app > env  #! env-file-quotes\n"
        "docker run --env-file env app npm run migrate\n",
    },
    "deploy-check-passes-always": {
        "release.sh": "#!/bin/sh\npython manage.py check --deploy  #! deploy-check-passes-always\n",
    },
    "secret-in-file": {
        "Dockerfile": f"FROM x\nENV SECRET_KEY={PASSWORD}  #! secret-in-file\n",
        "compose.yaml": "services:\n  db:\n    image: postgres:17\n    environment:\n"
        f"      POSTGRES_PASSWORD: {PASSWORD}  #! secret-in-file\n"
        f"      OTHER: postgres://app:{PASSWORD}@db.example.com/app  #! secret-in-file\n",
        ".env": f"# live\nexport API_TOKEN='{PASSWORD}'  #! secret-in-file\n",
        "deploy/key.pem": "-----BEGIN RSA PRIVATE KEY-----  #! secret-in-file\nAAAA\n",
        "lockstep.yaml": f"url: mysql://app:{PASSWORD}@db/app  #! secret-in-file\n",
        "k8s/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n"
        f"  password: {PASSWORD}  #! secret-in-file\n---\nencryptedData:\n  token: {PASSWORD}\n---\n"
        "apiVersion: apps/v1\nkind: StatefulSet\nspec: {template: {spec: {containers: [{env: [\n"
        "  { name: x }]}]}}}\n---\n"
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - env:\n    - name: DB_PASSWORD\n"
        f"      value: {PASSWORD}  #! secret-in-file\n",
    },
}

# Healthy projects: nothing may be found. Each is what the pages of its platform show.
RIGHT = {
    "dokku": {
        "Procfile": "release: lockstep migrate --preflight\nweb: gunicorn app\n",
        "app.json": '{"healthchecks": {"web": [{"type": "startup", "path": "/"}]},\n'
        ' "scripts": {"dokku": {"predeploy": "npm run build"}}}\n',
        "Dockerfile": "FROM python:3.12\nCOPY --from=lockstep /lockstep /usr/local/bin/lockstep\n"
        'ENTRYPOINT ["/usr/bin/tini", "--"]\nCMD ["gunicorn", "app"]\n',
    },
    "a release that needs a shell and has one": {
        "Procfile": 'release: sh -c "a && lockstep migrate"\n',
        "Dockerfile": 'FROM x\nENTRYPOINT ["/docker-init"]\n',
        "other/Procfile": "release: a && b\n",
    },
    "tini is taken off": {
        "Procfile": "release: a && b\n",
        "Dockerfile": 'FROM x\nENTRYPOINT ["/docker-init"]\nFROM y\nENTRYPOINT ["/tini","--"]\n',
    },
    "both by lockstep": {
        "Procfile": "release: lockstep migrate\n",
        "Dockerfile": 'FROM x\nENTRYPOINT ["/usr/bin/lockstep", "--log", "json", "run", "--"]\n',
    },
    "kubernetes": {
        "k8s/job.yaml": JOB.format(
            name="app-migrate-0123abc", annotations='"argocd.argoproj.io/hook": PreSync'
        ),
        "k8s/web.yaml": DEPLOYMENT,
        "k8s/other.yaml": JOB.format(name="report", annotations="")
        .replace("backoffLimit: 0", "completions: 1")
        .replace("lockstep, migrate", "report")
        .replace("name: migrate", "name: report"),
        "k8s/worker.yaml": re.sub(r"\n *(ports|readinessProbe).*", "", DEPLOYMENT),
    },
    "kubernetes, started by lockstep": {
        "k8s/job.yaml": JOB.format(name="app-migrate-$TAG", annotations=""),
        "k8s/web.yaml": re.sub(r" *initContainers:(\n.*){3}", "", DEPLOYMENT)
        + "          args: [lockstep, run, --, gunicorn]\n",
    },
    "kubernetes, the Job is deleted first": {
        "k8s/job.yaml": JOB.format(name="app-migrate", annotations="").replace(
            "backoffLimit: 0", "backoffLimit: 3\n  podFailurePolicy: {rules: []}"
        ),
        "deploy.sh": "kubectl delete job app-migrate --ignore-not-found\nkubectl apply -f k8s\n",
    },
    "scripts of developers, and what is only said": {
        "Dockerfile": 'FROM x\nCOPY . /app\nENTRYPOINT ["/app/entrypoint.sh"]\n',
        "Procfile": "release: lockstep migrate\nweb: gunicorn app\n",
        "entrypoint.sh": "#!/bin/sh\n# alembic upgrade head: not here\n"
        "echo 'by hand: python manage.py migrate'\nprintf 'or: npm run migrate'\n"
        "cat <<-'EOF'\n\talembic upgrade head\n\tEOF\nexec \"$@\"\n",
        "bin/setup": "#!/bin/sh\nbin/rails db:prepare\npython manage.py migrate\n",
        "scripts/dev.sh": "python manage.py makemigrations\npython manage.py migrate\n",
        "scripts/new-migration.sh": "alembic revision --autogenerate\n",
        "docker-compose.override.yml": "services:\n  web:\n"
        "    command: sh -c 'python manage.py migrate && python manage.py runserver'\n",
        ".github/workflows/test.yml": "on: pull_request\njobs:\n  test:\n    steps:\n"
        "    - run: bin/setup\n",
    },
    "one pod that migrates in its init container": {
        "web.yaml": DEPLOYMENT.replace("replicas: 3", "replicas: 1").replace(
            "lockstep, wait, --for, schema", "alembic, upgrade, head"
        ),
    },
    "helm": {
        "chart/Chart.yaml": "name: app\n",
        "chart/values.yaml": "image: {repository: app, digest: ''}\n",
        "chart/templates/job.yaml": HELM_JOB % "",
        "chart/templates/secret.yaml": HELM_SECRET
        % "  annotations: {helm.sh/hook: 'pre-install,pre-upgrade', helm.sh/hook-weight: '-5'}\n",
        "chart/templates/deployment.yaml": "{{- if .Values.web }}\n"
        + re.sub(r"\n *readinessProbe.*", "", DEPLOYMENT)
        + "          {{- toYaml .Values.probes | nindent 10 }}\n{{- end }}\n",
    },
    "helm, another chart's Secret": {
        "a/templates/job.yaml": HELM_JOB % "",
        "b/templates/secret.yaml": HELM_SECRET % "",
    },
    "compose": {
        "compose.yaml": "x-app: &app\n  build: {context: .}\n"
        "  environment: {DATABASE_URL: 'postgres://app:${PASSWORD}@db/app'}\n"
        "services:\n"
        "  migrate: {<<: *app, command: [lockstep, migrate]}\n"
        "  web:\n    <<: *app\n    depends_on: {migrate: {condition: service_completed_successfully}}\n"
        "  worker: {<<: *app, command: lockstep run -- work}\n"
        "  shell: {<<: *app, profiles: [debug]}\n"
        "  db:\n    image: postgres:latest\n    environment:\n      POSTGRES_PASSWORD: postgres\n",
    },
    "compose with SQLite": {
        "Dockerfile": "FROM x\nENV DATABASE_URL=sqlite:////data/app.db\n",
        "compose.yaml": "services:\n  web: {build: ., volumes: ['data:/data:rw']}\n"
        "  long:\n    image: x:1\n    environment: {DATABASE_URL: 'sqlite:////srv/db/app.db'}\n"
        "    volumes: [{type: volume, source: a, target: /srv/db}]\n"
        "  test: {image: x:1, environment: {DATABASE_URL: 'sqlite::memory:'}}\n"
        "  other: {image: x:1, environment: ['CONFIG=file:/etc/x.yaml']}\n",
        "fly.toml": '[env]\nDATABASE_URL = "sqlite:////data/app.db"\n'
        '[mounts]\nsource = "data"\ndestination = "/data"\n',
    },
    "fly": {
        "fly.toml": 'app = "x"\n[deploy]\nrelease_command = "lockstep migrate"\n'
        'release_command_timeout = "30m"\n[[mounts]]\nsource = "d"\ndestination = "/d"\n',
    },
    "swarm": {
        "stack.yml": "services:\n  web:\n    image: app:${TAG}\n    depends_on: [db]\n"
        "    entrypoint: [lockstep, run, --]\n  db: {image: 'postgres:17'}\n",
    },
    "cloud run": {
        "deploy.sh": "#!/bin/sh\nset -eu\ngcloud run jobs deploy app-migrate \\\n"
        '  --image "$IMAGE" --max-retries 0 \\\n  --task-timeout 1h\n'
        "gcloud run jobs deploy report --image x\n",
        "main.tf": 'resource "google_cloud_run_v2_job" "migrate" {\n  template {\n    template {\n'
        '      max_retries = 0\n      timeout = "3600s"\n    }\n  }\n}\n'
        'resource "google_cloud_run_v2_job" "report" {\n  name = "r"\n}\n',
    },
    "github": {
        ".github/workflows/test.yml": "on: {push: {}, pull_request: {}}\n"
        "concurrency: {group: x, cancel-in-progress: true}\njobs:\n  test:\n    services:\n"
        "      db:\n        image: postgres:17\n        env: {POSTGRES_PASSWORD: postgres}\n"
        "    env: {DATABASE_URL: 'postgres://postgres:s3cretPassw0rd@localhost:5432/test'}\n"
        "    steps:\n    - run: python manage.py migrate\n    - run: pytest\n",
        ".github/workflows/preview.yml": "on: pull_request\n"
        "concurrency: {group: x, cancel-in-progress: true}\n"
        "jobs: {deploy: {steps: [{run: flyctl deploy}]}}\n",
        ".github/workflows/e2e.yml": "on: push\nconcurrency: {group: x, cancel-in-progress: true}\n"
        "jobs: {e2e: {steps: [{uses: helm/kind-action@v1}, {run: kubectl apply -f k8s}]}}\n",
        ".github/workflows/deploy.yml": "on: {push: {branches: [main]}}\n"
        "concurrency: {group: deploy, cancel-in-progress: false}\njobs:\n  deploy:\n    env:\n"
        "      SSH_KEY: ${{ secrets.SSH_KEY }}\n      TOKEN: ${{ secrets.TOKEN }}\n"
        '    steps:\n    - run: |\n        echo "$KNOWN_HOSTS" > ~/.ssh/known_hosts\n'
        "        ssh -o StrictHostKeyChecking=yes dokku@h git:from-image app $IMAGE\n"
        "        ssh dokku@h config:export --format json app\n",
    },
    "gitlab": {
        ".gitlab-ci.yml": "test: {interruptible: true, script: [alembic check, pytest]}\n"
        "deploy:\n  resource_group: production\n  interruptible: false\n  script: [lockstep deploy]\n",
    },
    "secrets that are none": {
        ".env.example": f"SECRET_KEY={PASSWORD}\n",
        "tests/compose.yaml": f"services: {{db: {{environment: {{PASSWORD: {PASSWORD}}}}}}}\n",
        "compose.yaml": "services:\n  db:\n    image: postgres:17\n    environment:\n"
        "      POSTGRES_PASSWORD_FILE: /run/secrets/db1\n      PASSWORD: ${DB_PASSWORD1}\n"
        "      API_TOKEN: changeme-12345\n      URL: https://example.com/a:b@c\n"
        "      DATABASE_URL: postgres://app:app@db/app\n",
        "k8s/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n"
        "  password: cG9zdGdyZXMx\n",
        "k8s/sealed.yaml": "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n"
        f"  encryptedData:\n    password: {PASSWORD}\n\n    token: {PASSWORD}\n  template: {{}}\n",
        "sops.yaml": f"token: ENC[AES256_GCM,data:{PASSWORD},type:str]\n",
        "docker-compose.yml": "services:\n  db:\n    environment: {POSTGRES_PASSWORD: shop12}\n"
        "  web:\n    image: x:1\n    environment:\n"
        "      DATABASE_URL: postgres://shop:shop12@db:5432/shop\n",
        "chart/values.yaml": "existingSecret: regcred1\nauth: {token: x}\n"
        "clientSecret: app-client-2\nconfig: file:/etc/app1/x.yaml\n",
        ".github/workflows/test.yml": "on: push\njobs:\n  x:\n    env:\n"
        f"      POSTGRES_PASSWORD: {PASSWORD}\n"
        f"      DATABASE_URL: postgres://app:{PASSWORD}@db:5432/app\n",
        "public.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n",
        "notes.md": f"PASSWORD={PASSWORD}\n",
    },
    "files that are something else": {
        "openapi.yaml": "openapi: 3.0.0\nservices: [a]\nkind: 1\n",
        "broken.yaml": "a: [\n",
        "fly.toml": "= broken",
        "app.json": "[1]",
        "bomb.yaml": "a: &a [x, x]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}, *{chr(97 + n)}]\n"
            for n in range(20)
        ),
        "k8s/odd.yaml": "apiVersion: [batch]\nkind: Job\n---\napiVersion: batch/v1\nkind: Job\n"
        "spec: 3\n---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: [1]}\n",
        ".github/workflows/odd.yml": "on: 1\njobs: [a]\n",
        "compose.yaml": "services: {a: 1, b: [2], c: {command: {x: y}, depends_on: 7, volumes: x}}\n",
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(lockstep, name):
    expected = project(lockstep, WRONG[name])
    found = look(lockstep)
    if name == "predeploy-migrates":  # JSON has no comments
        expected = {(name, "app.json", 2)}
    if name == "env-file-quotes":
        found = [one for one in found if one["rule"] == name]
    assert places(found) >= expected, found
    # Scripts that migrate by hand are told of as ever.
    assert {one for one in places(found) - expected if one[0] != "migrates-by-hand"} == set(), found
    assert PASSWORD not in json.dumps(found)


@pytest.mark.parametrize("name", RIGHT)
def test_right(lockstep, name):
    assert not project(lockstep, RIGHT[name])
    assert look(lockstep) == []


PROJECTS = {
    "sql": {
        "migrations/001_a.sql": "CREATE TABLE a (id integer);\n",
        "Dockerfile": 'FROM scratch\nEXPOSE 8000\nCMD ["/serve"]\n',
    },
    "django": {
        "manage.py": "import django\n",
        "requirements.txt": "django\ngunicorn\n",
        "Dockerfile": 'FROM python:3\nCMD ["gunicorn", "app"]\n',
    },
    "empty": {},
}


@pytest.mark.parametrize("kind", PROJECTS)
def test_what_init_writes(lockstep, kind):
    """All platforms in one project: its files are what these rules ask for."""
    project(lockstep, PROJECTS[kind])
    dokku(lockstep, "ssh", "echo dokku version v0.38.27", "/dev/null")
    listed = lockstep.run("init").out
    platforms = [name for name in re.findall(r"^ *([a-z-]+) {2,}", listed, re.MULTILINE)]
    assert {"dokku", "github", "kubernetes", "helm", "compose", "swarm", "fly"} <= set(platforms)
    for platform in platforms:
        lockstep.run(
            "init",
            platform,
            "--app",
            "shop",
            "--image",
            "ghcr.io/acme/shop",
            *(["--", "serve"] if kind == "empty" else []),
        )
    rules = set(
        re.findall(r'^LOOK\(\w+, "([a-z-]+)"', TABLE.split("told elsewhere")[0], re.MULTILINE)
    )
    assert [one for one in look(lockstep) if one["rule"] in rules] == []


def test_every_rule_has_a_case():
    rules = re.findall(r'^LOOK\(\w+, "([a-z-]+)"', TABLE.split("told elsewhere")[0], re.MULTILINE)
    marked = {
        rule.strip()
        for files in WRONG.values()
        for text in files.values()
        for found in MARK.findall(text)
        for rule in found.split(",")
    }
    # Tested in test_check.py and below.
    elsewhere = {"predeploy-migrates", "dokku-version"}
    assert set(rules) - marked == elsewhere


def test_commands_are_told_without_their_secrets(lockstep):
    project(
        lockstep,
        {
            "Dockerfile": 'FROM x\nENTRYPOINT ["/start-entrypoint.sh"]\n',
            "start-entrypoint.sh": f"DATABASE_URL=postgres://app:{PASSWORD}@db/app bin/migrate\n",
            "Procfile": f"release: API_TOKEN={PASSWORD} npm run db:migrate --password {PASSWORD} && a\n",
            "app.json": '{"scripts": {"dokku": {"predeploy": '
            f"\"SECRET='{PASSWORD} {PASSWORD}' lockstep migrate --url mysql://a:{PASSWORD}@b\"}}}}}}\n",
        },
        git=False,
    )
    found = look(lockstep)
    assert {one["rule"] for one in found} == {
        "entrypoint-migrates",
        "release-needs-shell",
        "migrates-twice",
        "predeploy-migrates",
        "migrates-by-hand",
    }
    for form in ("text", "json", "github", "sarif", "gitlab"):
        told = lockstep.run("check", "--format", form, expect=6)
        assert PASSWORD not in told.out and "npm run" in told.out, told
    for n in range(0, 260, 20):  # wherever the line is cut
        lockstep.write(
            "start-entrypoint.sh", f"{'x' * n} postgres://app:{PASSWORD}@db bin/migrate\n"
        )
        assert PASSWORD[:4] not in lockstep.run("check", expect=6).out
    lockstep.write(
        "start-entrypoint.sh", f"{'x' * 9000} postgres://app:{PASSWORD}@db bin/migrate\n"
    )
    assert "`a very long command` in what every" in lockstep.run("check", expect=6).out
    assert "postgres://app:****" in json.dumps(found) and "--password ****" in json.dumps(found)


def test_not_under_version_control(lockstep):
    """Without git nobody knows what is committed; what git ignores is nobody's deploy."""
    files = {
        ".env": f"SECRET_KEY={PASSWORD}\n",
        "build/fly.toml": '[deploy]\nrelease_command="a|b"\n',
    }
    project(lockstep, files | {"fly.toml": '[deploy]\nrelease_command = "a | b"\n'}, git=False)
    assert {one["rule"] for one in look(lockstep)} == {"release-needs-shell"}
    project(lockstep, {".gitignore": ".env\nbuild/\n"})
    assert {(one["rule"], one["file"]) for one in look(lockstep)} == {
        ("release-needs-shell", "fly.toml")
    }


def test_links_out_of_the_project(lockstep, tmp_path):
    outside = tmp_path / "fly.toml"
    outside.write_text('[deploy]\nrelease_command = "a | b"\n')
    (lockstep.dir / "fly.toml").symlink_to(outside)
    assert look(lockstep) == []


def dokku(lockstep, name, version, log):
    lockstep.write(f"../bin/{name}", f'#!/bin/sh\necho "$@" >> {log}\n{version}\n', mode=0o755)


def test_dokku_version(lockstep, tmp_path):
    log = tmp_path / "asked"
    dokku(lockstep, "dokku", "echo dokku version 0.30.9", log)
    (one,) = look(lockstep)
    assert (one["rule"], one["severity"], one["file"]) == ("dokku-version", "warning", None)
    assert "Dokku 0.30.9" in one["message"] and log.read_text() == "version\n"
    for version in ("v0.35.4", "v0.38.27", "1.0.0"):
        dokku(lockstep, "dokku", f"echo dokku version {version}", log)
        assert look(lockstep) == [], version
    for version in ("v0.35.3", "v0.4.14"):
        dokku(lockstep, "dokku", f"echo dokku version {version}", log)
        assert len(look(lockstep)) == 1, version
    dokku(lockstep, "dokku", "exit 1", log)
    assert look(lockstep) == []


def test_dokku_over_ssh(lockstep, tmp_path):
    log = tmp_path / "asked"
    lockstep.write(
        "lockstep.yaml", "deploy: {target: dokku, host: 'deploy@example.com:2222', app: x}\n"
    )
    dokku(lockstep, "ssh", "echo dokku version v0.34.0", log)
    (one,) = look(lockstep)
    assert one["severity"] == "warning" and "0.34.0" in one["message"]
    words = log.read_text().split()
    assert words[-2:] == ["ssh://deploy@example.com:2222", "version"] and "BatchMode=yes" in words
    assert not [word for word in words if "StrictHostKeyChecking" in word]
    dokku(lockstep, "ssh", "echo refused >&2; exit 255", log)
    (one,) = look(lockstep)
    assert (one["severity"], one["rule"]) == ("info", "dokku-version"), "what was not seen is told"
    log.unlink()
    lockstep.write(
        "lockstep.yaml", "deploy: {target: docker, host: 'deploy@example.com', app: x}\n"
    )
    assert look(lockstep) == [] and not log.exists()


def test_preflight_is_not_stopped_by_how_files_are_written(sqlite_app):
    app = sqlite_app
    app.migrations({"001_a.sql": "CREATE TABLE a (id integer);\n"})
    app.write("fly.toml", '[deploy]\nrelease_command = "a | lockstep migrate"\n')
    assert "fly.toml:2: error: the release command" in app.run("check", expect=6).out
    done = app.run("migrate", "--preflight")
    assert "release-needs-shell" in done.err and "Migration applied" in done.err
