# SPDX-License-Identifier: Apache-2.0
"""Two designs of docs/seeds.md, from their files to what serves: migrations in Dokku's release phase,
and an external migration step before a Dokku deploy.

Python, Django, Node and npm are this machine's own, mounted where an image would hold them."""

import json
import pathlib

import pytest
from support import dokku, secrets
from support.binary import ROOT

MACHINE = [f"-v /usr/{name}:/usr/{name}:ro" for name in ("bin", "lib", "share/zoneinfo")]
SEARCH = "ENV PATH=/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def site(dokku_server, lockstep):
    made = dokku.DokkuSite(dokku_server, lockstep).create()
    options = [*made.mounts(), *MACHINE]
    made.change("options", {"build": [], "deploy": options, "run": options})
    return made


def project(*folders):
    """Files of tests/tools as files of an image's working directory."""
    files = {}
    for folder in folders:
        for path in sorted((ROOT / "tests/tools" / folder).rglob("*")):
            if path.is_file():
                files[str(path.relative_to(ROOT / "tests/tools" / folder))] = path.read_text(
                    "utf-8"
                )
    return files


def in_app(files):
    return {f"app/{name}": text for name, text in files.items()}


def test_release_phase(site):
    """Django's migrations, once and before the new service; ENTRYPOINT gone, CMD kept."""
    runner = site.lockstep
    for name, text in project("django/base").items():
        runner.write(name, text)
    serve = ["httpd", "-f", "-p", "8000", "-h", "/app/www"]
    runner.run("init", "dokku", "--app", "api", "--", *serve)
    written = {name: (runner.dir / name).read_text("utf-8") for name in ("Procfile", "app.json")}
    assert "release: lockstep migrate --preflight" in written["Procfile"]

    files = in_app(project("django/base") | written)
    one = site.image("1", None, SEARCH, release=None, files=files)
    assert site.engine.inspect(one)["Config"]["Entrypoint"] is None
    assert site.engine.inspect(one)["Config"]["Cmd"] == serve
    result = site.deploy(one)
    assert site.serves() == "version 1" and result.err.count("Migration started") == 1
    applied = site.rows("SELECT name FROM django_migrations WHERE app = 'blog' ORDER BY name")
    assert applied == ["0001_users", "0002_posts", "0003_email"]
    # The service starts without migrating, and another program may be run in the image.
    assert "Migration" not in site.engine.docker("logs", "api.web.1").stderr
    assert site.engine.docker("run", "--rm", one, "echo", "hi").stdout == "hi\n"

    broken = in_app(project("django/base", "django/broken") | written)
    result = site.deploy(site.image("2", None, SEARCH, release=None, files=broken), expect=1)
    assert site.serves() == "version 1" and "nothing was released" in result.err
    new = in_app(project("django/base", "django/new") | written)
    result = site.deploy(site.image("3", None, SEARCH, release=None, files=new))
    assert site.serves() == "version 3" and "the schema is at" in result.err
    assert "0004_age" in site.rows("SELECT name FROM django_migrations WHERE app = 'blog'")
    # A change of configuration releases again: cheap, and nothing happens.
    again = site.dokku("ps:rebuild", "api")
    assert "Migration skipped: nothing is pending" in again and site.left() == []


MIGRATE = """
const { execFileSync } = require('child_process');
if (process.env.GREETING !== 'two\\nlines of "it"') throw new Error('the configuration is spoilt');
execFileSync('sqlite3', ['/data/app.db', 'CREATE TABLE VERSION (at text)'], { stdio: 'inherit' });
console.log(`as ${process.env.TOKEN}`);
"""


def test_external_step(site):
    """`npm run migrate` on the server, with the app's configuration; a failing one deploys nothing,
    and a project without one is deployed without."""
    token = secrets.register("token-" + "of-the-deploy")
    config = {"DATABASE_URL": "sqlite:////data/app.db", "TOKEN": token}
    site.change("config", config | {"GREETING": 'two\nlines of "it"'})

    def image(version, scripts):
        package = {"name": "shop", "private": True, "scripts": scripts}
        files = {
            "package.json": json.dumps(package),
            "migrate.js": MIGRATE.replace("VERSION", "t1"),
        }
        return site.image(version, None, SEARCH, release=None, files=in_app(files))

    result = site.deploy(image("1", {"build": "true"}), *site.outside())
    assert "Migration skipped: there are no migrations here" in result.err
    assert site.serves() == "version 1"

    result = site.deploy(image("2", {"migrate": "node migrate.js"}), *site.outside())
    assert site.rows("SELECT name FROM sqlite_master WHERE name = 't1'") == ["t1"]
    assert site.serves() == "version 2" and "as ***" in result.err and token not in result.err

    result = site.deploy(
        image("3", {"migrate": "node migrate.js # again"}), *site.outside(), expect=1
    )
    assert "table t1 already exists" in result.err and "nothing was released" in result.err
    assert site.serves() == "version 2" and site.left() == []
    assert not list(pathlib.Path("/tmp").glob("api-env*"))
