# SPDX-License-Identifier: Apache-2.0
"""`detect --image`: what an image holds, from the engine and from archives, good ones and hostile."""

import gzip
import io
import os
import pathlib
import shutil
import signal
import tarfile

import pytest
from support import images, net
from support.engine import Link
from support.images import hardlink, layout, saved, special, symlink, tar

SQL = "CREATE TABLE a (id integer);\n"
NODE = '{"scripts": {"migrate": "knex migrate:latest"}, "dependencies": {"knex": "3"}}'
KNEX = {
    "package.json": NODE,
    "knexfile.js": 'module.exports = { migrations: { directory: "./db" } };',
    "db/1_a.js": "exports.up = () => {};",
    "node_modules/knex/bin/cli.js": ("#!/usr/bin/env node\n", 0o755),
    "node_modules/.bin/knex": Link("../knex/bin/cli.js"),
}


@pytest.fixture
def look(lockstep):
    """look(DATA or name, words...): the result of `detect --image` with --json."""

    def run(what, *words, expect=0, **more):
        if isinstance(what, bytes):
            what = lockstep.write("image.tar", what)
        return lockstep.run("detect", "--json", "--image", what, *words, expect=expect, **more)

    return run


@pytest.fixture
def docked(lockstep, engine):
    """lockstep with that engine, and afterwards no container of its own in it."""
    lockstep.env["DOCKER_HOST"] = f"unix://{engine.folder}/socket"
    yield lockstep
    assert engine.docker("ps", "-aq", "--filter", "label=lockstep=look").stdout == ""


def refused(result, *words):
    """Exit 2, nothing on stdout, one sentence and no more than a few lines of it."""
    assert result.exit == 2 and result.out == "" and len(result.err.splitlines()) <= 4, result
    for word in words:
        assert word in result.err, result


def app(files, prefix="app/"):
    return [(prefix + name, *(c if isinstance(c, tuple) else (c,))) for name, c in files.items()
            if not isinstance(c, Link)]  # fmt: skip


def test_version(lockstep):
    assert any(
        line.startswith("libarchive 3.") for line in lockstep.run("version").out.splitlines()
    )


# -- the engine ----------------------------------------------------------------------------------


def test_engine_node(docked, engine, look):
    """A link to a script, a link as working directory, programs in PATH, no shell, lockstep in it."""
    files = {f"/srv/app-7/{name}": content for name, content in KNEX.items()}
    files |= {
        "/srv/current": Link("app-7"),
        "/opt/node/bin/node": (b"\x7fELF", 0o755),
        "/usr/local/bin/node": Link("/opt/node/bin/node"),
        "/usr/local/bin/lockstep": (b"\x7fELF", 0o755),
        "/usr/local/bin/start.sh": ("#!/bin/sh\nexec node .\n", 0o755),
    }
    engine.image_from_files(
        "node", files, "WORKDIR /srv/current", 'ENTRYPOINT ["start.sh"]', 'CMD ["serve"]',
        "USER 1000:1000", "ENV PATH=/usr/local/bin SECRET_KEY=s3cr3t-k3y-value", "EXPOSE 8080",
        "LABEL com.example.team=payments", 'HEALTHCHECK CMD ["node", "check"]',
        "VOLUME /data",
    )  # fmt: skip
    volumes = engine.docker("volume", "ls", "-q").stdout
    result = look("node")
    found, image = result.json(), result.json()["image"]
    assert result.err == "" and "s3cr3t" not in result.out
    assert found["tool"] == "knex" and found["command"] == [
        "node_modules/.bin/knex", "migrate:latest"
    ]  # fmt: skip
    assert "package.json" in found["evidence"]
    assert image["id"] == engine.inspect("node")["Id"] and image["source"] == "engine"
    assert image["tags"] == ["node:latest"] and image["digests"] == []
    assert image["entrypoint"] == ["start.sh"] and image["cmd"] == ["serve"]
    assert image["script"] == "/usr/local/bin/start.sh"
    assert image["user"] == "1000:1000" and image["workdir"] == "/srv/current"
    assert image["environment"] == ["PATH", "SECRET_KEY"] and image["ports"] == ["8080/tcp"]
    assert image["labels"] == {"com.example.team": "payments"} and image["healthcheck"] is True
    assert image["files"] == ["package.json"]
    assert image["lockstep"] == "/usr/local/bin/lockstep" and image["shell"] is None
    assert engine.docker("volume", "ls", "-q").stdout == volumes


def test_engine_django_and_archive(docked, engine, look, tmp_path):
    """The same image from the engine and out of `docker save`, plain and gzipped, is the same."""
    engine.image_from_files(
        "django", {"/code/manage.py": "import django\n", "/code/requirements.txt": "django==4\n",
                   "/usr/bin/python3.11": (b"\x7fELF", 0o755), "/bin/sh": (b"\x7fELF", 0o755),
                   "/usr/bin/python3": Link("python3.11")},
        "WORKDIR /code", 'CMD ["python3", "manage.py", "runserver"]',
    )  # fmt: skip
    one = look("django").json()
    assert one["tool"] == "django" and one["evidence"] == ["manage.py"]
    assert one["command"] == ["python3", "manage.py", "migrate", "--noinput"]
    assert one["image"]["shell"] == "/bin/sh" and one["image"]["lockstep"] is None
    assert one["image"]["user"] is None and one["image"]["entrypoint"] == []
    data = engine.docker("save", "django").raw
    for form in (data, gzip.compress(data, 1)):
        other = look(form).json()
        assert other["image"].pop("source") == "archive"
        assert other["image"].pop("name").endswith("image.tar")
        want = {k: v for k, v in one["image"].items() if k not in ("source", "name")}
        assert other["image"] == want and other["command"] == one["command"]


def test_engine_sql_and_layers(docked, engine, lockstep, look):
    """Layers made by the engine itself: a file that a later one removed is not there."""
    engine.image_from_files("base", {"/app/migrations/001_a.sql": SQL, "/app/manage.py": ""})
    context = lockstep.dir / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        "FROM busybox\nCOPY --from=base /app /app\nRUN rm /app/manage.py && mkdir -p /app/prisma\n"
        "WORKDIR /app\n"
    )
    engine.docker("build", "-q", "-t", "built", context)
    for what in ("built", engine.docker("save", "built").raw):
        found = look(what).json()
        assert found["tool"] == "sql" and found["evidence"] == ["migrations"]
        assert found["format"] == "plain" and found["command"] == ["lockstep", "migrate"]
        assert found["image"]["files"] == [] and found["image"]["shell"] == "/bin/sh"
    text = lockstep.run("detect", "--image", "built").out
    assert "Migrations  migrations: files of format plain\n" in text
    assert "lockstep    not in the image\n" in text


def test_engine_nothing_to_migrate_and_could_not_look(docked, engine, look):
    """No migrations is an answer; a package.json that cannot be read is none."""
    engine.image_from_files("static", {"/site/index.html": "x"}, "WORKDIR /site", 'CMD ["/x"]')
    found = look("static").json()
    assert (found["tool"], found["command"], found["evidence"]) == ("none", None, [])
    engine.image_from_files("torn", {"/site/package.json": '{"scripts": '}, "WORKDIR /site")
    refused(look("torn", expect=2), "in the image 'torn'", "package.json", "not JSON")
    engine.image_from_files(
        "bare",
        {"/app/alembic.ini": "[alembic]\nscript_location = alembic\n", "/app/alembic/env.py": ""},
        "WORKDIR /app",
    )
    refused(look("bare", expect=2), "in the image 'bare'", "Alembic is not installed here")


def test_engine_errors(docked, engine, lockstep, look):
    refused(look("nowhere:1", expect=2), "the container engine has no image 'nowhere:1'", "pull")
    refused(look("--privileged=1", expect=2), "cannot be the name of an image")
    gone = look("busybox", expect=1, env={"DOCKER_HOST": f"unix://{lockstep.home}/none"})
    assert "'docker image' failed" in gone.err and gone.out == ""
    empty = lockstep.dir / "empty"
    empty.mkdir()
    none = look("busybox", expect=2, env={"PATH": str(empty)})
    refused(none, "there is no container engine: no `docker` in PATH")


def test_engine_interrupted(docked, engine, lockstep):
    """SIGTERM while the files stream: exit 143, and the container is removed."""
    real = "/usr/bin/docker"
    lockstep.write("../bin/docker", (
        "#!/bin/sh\n"
        f'case $1 in export) {real} "$@" | head -c 2048; echo > exporting; exec sleep 100;; esac\n'
        f'exec {real} "$@"\n'), 0o755)  # fmt: skip
    run = lockstep.start("detect", "--image", "busybox")
    net.until((lockstep.dir / "exporting").exists, what="the export")
    assert engine.docker("ps", "-aq", "--filter", "label=lockstep=look").stdout != ""
    run.signal(signal.SIGTERM)
    result = run.finish(expect=143)
    assert result.out == ""


def test_engine_cuts_off(docked, look, lockstep):
    """An engine that fails in the middle: no half image."""
    lockstep.write("../bin/docker", (
        '#!/bin/sh\n[ "$1" = export ] && { /usr/bin/docker "$@" | head -c 20000; echo gone away >&2; exit 1; }\n'
        'exec /usr/bin/docker "$@"\n'), 0o755)  # fmt: skip
    refused(look("busybox", expect=2), "'busybox' is no tar archive, or is damaged", "gone away")


# -- archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["saved", "last", "layout", "nested", "gzip", "whole"])
def test_archive_forms(look, form):
    base = tar(("app/", ""), *app({"migrations/001_a.sql": SQL, "old.sql": SQL, "dir/a": "1"}),
               symlink("bin/sh", "busybox"), ("bin/busybox", b"\x7fELF", 0o755))  # fmt: skip
    top = tar(("app/.wh.old.sql", ""), ("app/dir/b", "2"), ("app/dir/.wh..wh..opq", ""),
              ("app/Procfile", "web: x\n"), ("./app/app.json", "{}"))  # fmt: skip
    config = {"WorkingDir": "/app", "Entrypoint": ["/bin/sh", "-c", "x"], "Env": ["A=1"]}
    data = {
        "saved": lambda: saved([base, top], config),
        "last": lambda: saved([base, top], config, last=True),
        "layout": lambda: layout([base, top], config),
        "nested": lambda: layout([base, top], config, nested=True),
        "gzip": lambda: layout([gzip.compress(base), gzip.compress(top)], config, media="tar+gzip"),
        "whole": lambda: gzip.compress(layout([base, top], config)),
    }[form]()
    found = look(data).json()
    assert found["tool"] == "sql" and found["image"]["files"] == ["Procfile", "app.json"]
    assert found["image"]["shell"] == "/bin/sh" and found["image"]["workdir"] == "/app"
    oci = form not in ("saved", "last")
    assert found["image"]["tags"] == (["app:oci"] if oci else ["app:1"])
    assert len(found["image"]["digests"]) == oci


def test_whiteouts(look):
    """What is taken away is, with all below it; what a layer itself brings is not, in any order."""
    base = tar(*app({"manage.py": "", "keep/package.json": "{}"}), ("gone/db/1.sql", SQL),
               ("app/migrations/001_a.sql", SQL), ("app/migrations/002_b.sql", SQL))  # fmt: skip
    top = tar(("app/migrations/001_a.sql", SQL), ("app/migrations/.wh.001_a.sql", ""),
              ("app/migrations/.wh.002_b.sql", ""), ("app/.wh.manage.py", ""), (".wh.gone", ""),
              ("app/package.json", "{}"), ("app/.wh.keep", ""))  # fmt: skip
    found = look(saved([base, top], {"WorkingDir": "/app"})).json()
    assert found["tool"] == "sql" and found["image"]["files"] == ["package.json"]
    # A file in the place of a directory, and the other way round.
    again = tar(("app/migrations", "file"), ("app/package.json/", ""), ("app/manage.py", ""))
    found = look(saved([base, top, again], {"WorkingDir": "/app"}), "--tool", "sql").json()
    assert found["tool"] == "none" and found["image"]["files"] == ["package.json", "manage.py"]


def test_settings_choose(look):
    files = tar(*app({"manage.py": "import django", "sql/1_a.sql": SQL, "migrations/1_b.sql": SQL}),
                ("usr/bin/python3", b"\x7fELF", 0o755))  # fmt: skip
    data = saved([files], {"WorkingDir": "/app"})
    refused(look(data, expect=2), "two migration tools", "manage.py", "migrations")
    assert look(data, "--tool", "django").json()["tool"] == "django"
    assert look(data, "--dir", "sql").json()["evidence"] == ["sql"]
    assert look(data, "--command", "./own up").json()["command"] == ["./own", "up"]


# -- hostile -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../evil", "app/../../../evil", "/../evil"])
def test_names_that_leave(look, lockstep, name):
    refused(look(saved([tar((name, "x"))]), expect=2), f"holds '{name}', which leaves the image")
    assert not list(lockstep.tmp.parent.rglob("evil"))


def test_links_that_leave(look, lockstep, tmp_path):
    """They end in the image: through none of them is a file of this machine read or written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "package.json").write_text(NODE)
    up = "../" * 12
    layer = tar(
        symlink("app", str(outside)), ("app/manage.py", "x"), symlink("esc", up + str(outside)[1:]),
        ("esc/new/evil", "x"), symlink("etc", "/etc"), symlink("loop", "loop"),
        symlink("a/passwd", "/etc/passwd"), ("absolute", "x"),
    )  # fmt: skip
    found = look(saved([layer], {"WorkingDir": "/app", "Entrypoint": ["/loop"]})).json()
    assert found["tool"] == "none" and found["image"]["files"] == ["manage.py"]
    assert found["image"]["script"] is None
    assert sorted(os.listdir(outside)) == ["package.json"]
    # The name of the working directory as a link into this machine.
    layer = tar(symlink("app", str(outside)), symlink("b/package.json", "/etc/passwd"))
    assert look(saved([layer], {"WorkingDir": "/app"})).json()["image"]["files"] == []
    found = look(saved([layer], {"WorkingDir": "/b/../../../b"})).json()
    assert found["tool"] == "none" and found["image"]["files"] == []
    refused(look(saved([tar(symlink("l", "l"), ("l/x", "x"))]), expect=2), "no directory")
    refused(look(saved([tar(("f", "x"), ("f/x", "x"))]), expect=2), "no directory")


def test_hard_links(look, tmp_path):
    files = [("app/real.json", "{}"), hardlink("app/package.json", "app/real.json")]
    found = look(saved([tar(*files)], {"WorkingDir": "/app"})).json()
    assert found["image"]["files"] == ["package.json"] and found["tool"] == "none"
    for target in ("/etc/passwd", "../../etc/passwd", "app", "app/package.json"):
        layer = tar(("app/", ""), hardlink("app/package.json", target))
        refused(look(saved([layer], {"WorkingDir": "/app"}), expect=2), "a hard link", target)
    # Of the archive itself: a layer that is another name of this machine's file.
    data = tar(("manifest.json", '[{"Config": "c.json", "Layers": ["l/layer.tar"]}]'),
               ("c.json", "{}"), symlink("l/layer.tar", "../../../../etc/passwd"))  # fmt: skip
    refused(look(data, expect=2), "the layer 'l/layer.tar' is not in")


def test_devices_and_pipes(look):
    layer = tar(
        special("app/package.json", tarfile.FIFOTYPE),
        special("app/manage.py", tarfile.CHRTYPE, devmajor=1, devminor=3),
        special("app/migrations", tarfile.BLKTYPE, devmajor=8),
        special("app/migrations2", tarfile.CONTTYPE),
    )
    found = look(saved([layer], {"WorkingDir": "/app"})).json()
    assert found["tool"] == "none"


def test_odd_names(look):
    odd = [b"app/new\nline.sql", b"app/\xff\xfe.sql", "app/ключ.sql".encode(), b"app/\x1b[31m.sql",
           b"app/" + b"x" * 300 + b".sql", b"app/a b", b"app/'; rm -rf '"]  # fmt: skip
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        entries = [(name.decode("utf-8", "surrogateescape"), "x") for name in odd]
        layer = tar(*entries, ("проект/migrations/001_a.sql", SQL), form=form)
        found = look(saved([layer], {"WorkingDir": "/проект"})).json()
        assert found["tool"] == "sql"
        assert look(saved([layer], {"WorkingDir": "/app"})).exit == 0
    # A name that ends at a NUL is that name.
    pax = tarfile.TarInfo("plain")
    pax.pax_headers = {"path": "app/manage.py\0../../evil"}
    assert look(saved([tar((pax, b""))], {"WorkingDir": "/app"}), expect=None).exit in (0, 2)
    long = "d/" * 2500
    refused(look(saved([tar((long + "x", ""))]), expect=2), "a name of more than 4096 bytes")


def test_sizes_that_lie(look):
    """8 EiB in a header, a hole of 4 GiB as a package.json, as a layer; 40 MB of one letter."""
    huge = bytearray(tar(("app/x", "")))
    field = b"\x80" + bytes(3) + (1 << 62).to_bytes(8, "big")
    huge[124:136] = field
    total = sum(huge[:148]) + 8 * 32 + sum(huge[156:512])
    huge[148:156] = f"{total:06o}\0 ".encode()
    refused(look(saved([bytes(huge)]), expect=2), "is no tar archive, or is damaged")
    hole = tarfile.TarInfo("app/package.json")
    hole.pax_headers = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "app/package.json",
        "GNU.sparse.realsize": str(4 << 30),
    }  # fmt: skip
    sparse = b"1\n4294967295\n1\n".ljust(512, b"\0") + b"x"
    data = saved([tar((hole, sparse))], {"WorkingDir": "/app"})
    refused(look(data, expect=2), "package.json", "larger than 1 MiB")
    big = tar(("app/package.json", b"[" * (40 << 20)))
    data = gzip.compress(layout([gzip.compress(big, 1)], {"WorkingDir": "/app"}), 1)
    refused(look(data, expect=2), "package.json", "larger than 1 MiB")


def test_bomb(look):
    """40 GiB out of 40 MB: given up on after the first, not waited for."""
    head = tarfile.TarInfo("app/x")
    head.size = 40 << 30
    layer = gzip.compress(head.tobuf(tarfile.GNU_FORMAT)) + gzip.compress(bytes(64 << 20), 9) * 640
    refused(look(layout_raw(layer), expect=2), "unpacks to more than 200 times its size")


def layout_raw(layer):
    """A layout whose configuration does not say what the layer unpacks to."""
    config = b'{"config": {}}'
    manifest = images.json.dumps({
        "config": {"digest": f"sha256:{images.sha256(config)}"},
        "layers": [{"digest": f"sha256:{images.sha256(layer)}"}],
    }).encode()  # fmt: skip
    index = {"manifests": [{"digest": f"sha256:{images.sha256(manifest)}"}]}
    blobs = {f"blobs/sha256/{images.sha256(each)}": each for each in (config, manifest, layer)}
    return tar(("index.json", images.json.dumps(index)), *blobs.items())


def test_many_entries(look):
    """A million and one of one name, in a few MB."""
    entry = tarfile.TarInfo("app/x").tobuf()
    layer = gzip.compress(entry * 1_000_001 + bytes(1024), 1)
    refused(look(layout_raw(layer), expect=2), "more than 1000000 files")


def test_deep(look):
    """Deeper than any directory of this machine may be: looked at as far as that goes."""
    deep = "app/" + "d/" * 1500
    layer = tar((deep + "migrations/001_a.sql", SQL), ("app/migrations/001_a.sql", SQL))
    found = look(saved([layer], {"WorkingDir": "/app"})).json()
    assert found["tool"] == "sql" and found["evidence"] == ["migrations"]
    links = [symlink(f"app/{i}", f"{i + 1}") for i in range(100)]
    assert look(saved([tar(("app/", ""), *links)], {"WorkingDir": "/app"})).json()["tool"] == "none"
    # A directory that holds itself.
    self_ = tar(("app/", ""), symlink("app/me", "."), symlink("app/up", ".."), ("app/a/", ""))
    assert look(saved([self_], {"WorkingDir": "/app"})).json()["tool"] == "none"
    # New directories by the thousand with each name.
    bush = [(f"{i}/" + "d/" * 1900 + "x", "") for i in range(1200)]
    data = layout_raw(gzip.compress(tar(*bush, form=tarfile.GNU_FORMAT), 1))
    refused(look(data, expect=2), "more than 1000000 directories")


def test_what_it_says_of_itself(look, lockstep):
    """Text on a terminal is text; no value of the environment is shown, no bytes break the JSON."""
    config = {"Labels": {"a": "\x1b[2J\nLabels      forged"}, "User": "\x07", "Env": ["A=v4lue", "B"],
              "Cmd": ["\x1b]0;x\x07"], "Entrypoint": "as one text", "Healthcheck": {"Test": ["NONE"]},
              "ExposedPorts": {"1/tcp": {}}}  # fmt: skip
    image = look(saved([tar(("a", ""))], config)).json()["image"]
    assert image["environment"] == ["A", "B"] and image["healthcheck"] is False
    assert image["entrypoint"] == ["as one text"] and image["labels"]["a"][0] == "\x1b"
    text = lockstep.run("detect", "--image", "image.tar").out
    assert not set(text) & set("\x1b\x07") and "v4lue" not in text
    assert text.count("\nLabels ") == 1 and "\nUser        ?\n" in text
    for config in ({"Env": 1, "Labels": [], "Cmd": {}, "ExposedPorts": 2, "WorkingDir": []}, []):
        assert look(saved([tar(("a", ""))], config)).json()["image"]["workdir"] == "/"


def test_twice_the_same_name(look):
    layer = tar(("app/package.json", NODE), ("app/package.json", "{}"), ("app/x", "1"),
                ("app/x/", ""), ("app/x/y", ""))  # fmt: skip
    assert look(saved([layer], {"WorkingDir": "/app"})).json()["tool"] == "none"
    refused(look(saved([tar(("app/package.json", "{}"), ("app/package.json", "{"))],
                       {"WorkingDir": "/app"}), expect=2), "not JSON")  # fmt: skip


def test_damaged(look, lockstep):
    good = saved([tar(*app({"migrations/001_a.sql": SQL}))], {"WorkingDir": "/app"})
    assert look(good).json()["tool"] == "sql"
    for end in (1, 511, 513, 1500, 3000, 5000, len(good) - 10240):
        result = look(good[:end], expect=2)
        assert result.out == "" and "image.tar" in result.err, result
    zipped = gzip.compress(good)
    for data in (zipped[: len(zipped) // 2], zipped[:-300], b"", b"\0" * 4096, b"no archive"):
        result = look(data, expect=2)
        assert result.out == "" and "image.tar" in result.err, result
    refused(look(b"\x28\xb5\x2f\xfd" + bytes(100), expect=2), "compressed with zstd", "gzip")
    # A layer whose bytes are not those of its digest.
    flipped = layout([tar(*app({"migrations/001_a.sql": SQL}))], {"WorkingDir": "/app"})
    flipped = flipped.replace(b"CREATE TABLE a", b"CREATE TABLE b")
    refused(look(flipped, expect=2), "is damaged: its digest is another")
    flipped = good.replace(b"CREATE TABLE a", b"CREATE TABLE b")
    refused(look(flipped, expect=2), "is damaged: its digest is another")
    flipped = good.replace(b'"WorkingDir": "/app"', b'"WorkingDir": "/xpp"')
    refused(look(flipped, expect=2), "is damaged: its digest is another")


def test_not_an_image(look, lockstep):
    refused(look(tar(("a", "b")), expect=2), "is no image", "docker save")
    refused(look(tar(("manifest.json", "{")), expect=2), "'manifest.json'", "not JSON")
    refused(look(tar(("manifest.json", "[]")), expect=2), "holds 0 images")
    refused(look(tar(("manifest.json", "[{}, {}]")), expect=2), "holds 2 images", "Save one")
    refused(look(tar(("manifest.json", "[{}]")), expect=2), "names no configuration")
    refused(look(tar(("manifest.json", '[{"Config": "x"}]')), expect=2), "'x'", "is not there")
    refused(look(tar(("manifest.json", '[{"Config": "c.json"}]'), ("c.json", "[]")), expect=2),
            "no JSON object")  # fmt: skip
    refused(look(tar(("index.json", "{}")), expect=2), "names no configuration")
    refused(look(tar(("index.json", '{"manifests": []}')), expect=2), "names no image")
    refused(look(tar(("index.json", '{"manifests": [{"digest": "sha256:../../etc/passwd"}]}')),
                 expect=2), "names no image")  # fmt: skip
    refused(look(tar(("index.json", "[" * 100000)), expect=2), "not JSON")
    refused(look("./nowhere.tar", expect=2), "there is no file './nowhere.tar'")
    refused(look(lockstep.dir, expect=2), "it is no file")


def test_no_room_for_the_look(look, lockstep):
    data = saved([tar(*app({"manage.py": ""}))], {"WorkingDir": "/app"})
    result = look(data, env={"TMPDIR": str(lockstep.home / "none")}, expect=1)
    assert "cannot use" in result.err and result.out == ""
    mount = 'mount -t tmpfs -o noexec t "$TMPDIR" && exec "$0" "$@"'
    result = look(data, prefix=["unshare", "--mount", "sh", "-c", mount], expect=1)
    assert "is mounted noexec\n" in result.err and "TMPDIR" in result.err and result.out == ""


def test_old_engines_link_layers(look):
    """A layer that is there twice is written once, and linked to."""
    layer, config = tar(("app/migrations/001_a.sql", SQL)), {"WorkingDir": "/app"}
    data = images.config_of([layer, layer], config)
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["b/layer.tar", "a/layer.tar"]}]
    whole = tar(("manifest.json", images.json.dumps(manifest)), ("c.json", data),
                symlink("b/layer.tar", "../a/layer.tar"), ("a/layer.tar", layer))  # fmt: skip
    assert look(whole).json()["tool"] == "sql"


def test_nothing_is_written_elsewhere(look, lockstep):
    """The directory of the look is 0700, in TMPDIR, and gone afterwards: also when it fails."""
    before = sorted(pathlib.Path("/tmp").glob("lockstep-image-*"))
    look(saved([tar(*app({"package.json": "{"}))], {"WorkingDir": "/app"}), expect=2)
    assert not list(lockstep.tmp.iterdir())
    assert sorted(pathlib.Path("/tmp").glob("lockstep-image-*")) == before


def test_check(lockstep):
    """What of this project is not in the image, and what its containers start with."""
    script = "#!/bin/sh\necho 'no manage.py migrate here'\npython manage.py migrate\nexec \"$@\"\n"
    layer = tar(*app({"migrations/001_a.sql": SQL}), ("start.sh", script, 0o755))
    image = lockstep.home / "image.tar"
    image.write_bytes(saved([layer], {"WorkingDir": "/app", "Entrypoint": ["/start.sh"]}))

    def found(expect):
        words = ("check", "--json", "--image", image, "--url", "sqlite::memory:")
        return lockstep.run(*words, expect=expect).json()["findings"]

    # Nothing of it is here: what it starts with is told all the same.
    (start,) = [one for one in found(0) if one["rule"] != "nothing-here"]
    assert (start["rule"], start["file"], start["line"]) == ("entrypoint-migrates", "/start.sh", 3)
    lockstep.migrations({"001_a.sql": SQL, "002_b.sql": "SELECT 1;\n"})
    places = [(one["rule"], one["file"]) for one in found(6)]
    assert places == [
        ("not-in-image", "migrations/002_b.sql"),
        ("entrypoint-migrates", "/start.sh"),
    ]
    image.write_bytes(image.read_bytes()[:700])
    for _ in range(2):
        (damaged,) = [one for one in found(6) if one["rule"] != "nothing-here"]
        assert damaged["rule"] == "not-in-image" and "image.tar" in damaged["message"]
        shutil.rmtree(lockstep.dir / "migrations", ignore_errors=True)
