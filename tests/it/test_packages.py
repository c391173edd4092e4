# SPDX-License-Identifier: Apache-2.0
"""The release as it is put somewhere: a Debian package, and images that hold the binary.

Left out (conftest.py) unless the binary under test lies in a dist/ with its files beside it.
"""

import gzip
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import pytest
from support import databases, debian, formats, servers
from support.binary import BINARY, ROOT
from support.engine import Link

pytestmark = pytest.mark.release
DIST = BINARY.resolve().parent
# Where dpkg keeps its books, and what its own programs leave behind with any package.
BOOKS = ("var/lib/dpkg/", "var/log/", "var/cache/")
NOBODY = 65532


def two():
    return formats.plain(formats.users()[:2])


# -- the Debian package ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package():
    own = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    found = list(DIST.glob(f"lockstep_*_{own}.deb"))
    if not found:
        pytest.skip(f"this release is not for {own}")
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def tree(tmp_path):
    """A fresh minimal Debian."""
    try:
        debian.unpack(tmp_path / "tree")
    except servers.Missing as missing:
        pytest.skip(str(missing))
    yield tmp_path / "tree"
    shutil.rmtree(tmp_path / "tree")


def listing(tree):
    """Every path but the books: {name: what it is}."""
    seen = {}
    for folder, folders, names in os.walk(tree):
        for name in folders + names:
            path = pathlib.Path(folder, name)
            short = str(path.relative_to(tree))
            if not short.startswith(BOOKS):
                stat = path.lstat()
                seen[short] = (stat.st_mode, path.is_dir() or stat.st_size)
    return seen


def dpkg(tree, *words):
    """In the tree, with what a login there has for PATH, and no network."""
    return subprocess.run(
        ["unshare", "--net", "chroot", tree, "dpkg", *words],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "teletype"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=120, check=True,
    ).stdout  # fmt: skip


def test_debian_package(lockstep, tree, package):
    before = listing(tree)
    shutil.copy(package, tree / "lockstep.deb")
    dpkg(tree, "-i", "/lockstep.deb")
    (tree / "lockstep.deb").unlink()
    assert "\nStatus: install ok installed\n" in dpkg(tree, "-s", "lockstep")
    added = listing(tree).keys() - before.keys()

    # Every page and completion, each where Debian's own packages put theirs.
    pages = {f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz": page.read_bytes()
             for page in (DIST / "man").iterdir()}  # fmt: skip
    assert {name for name in added if "/man/" in name and name.endswith(".gz")} == pages.keys()
    for name, text in pages.items():
        assert gzip.decompress((tree / name).read_bytes()) == text, name
    for name in ("bash-completion/completions/lockstep", "zsh/vendor-completions/_lockstep",
                 "fish/vendor_completions.d/lockstep.fish"):  # fmt: skip
        assert (tree / "usr/share" / name).stat().st_size > 0, name
    assert (tree / "usr/share/doc/lockstep/copyright").is_file()
    owned = {name for name in added if name in ("usr/bin/lockstep", *pages)}
    assert {
        ((tree / name).stat().st_uid, (tree / name).stat().st_mode & 0o022) for name in owned
    } == {(0, 0)}

    # It is found by its name and works, and leaves nothing where the package lies.
    (tree / "srv/migrations").mkdir()
    for name, text in two().items():
        (tree / "srv/migrations" / name).write_text(text, encoding="utf-8")

    def run(*words, **more):
        return lockstep.run(
            *words, prefix=["chroot", tree, "env", "-C", "/srv"], binary="lockstep",
            env={"DATABASE_URL": "sqlite:////srv/app.db"}, **more,
        )  # fmt: skip

    assert run("version").out.startswith("lockstep ")
    assert run("migrate").applied() == 2
    assert run("run", "--", "/bin/sh", "-c", "exit 7", expect=7).applied() == 0
    assert databases.Sqlite(tree / "srv/app.db").exists("person")
    shutil.rmtree(tree / "srv/migrations")
    for path in (tree / "srv").iterdir():
        path.unlink()

    dpkg(tree, "-r", "lockstep")
    assert listing(tree) == before
    # Not even a mention: there is nothing to purge.
    assert "Package: lockstep\n" not in (tree / "var/lib/dpkg/status").read_text(encoding="utf-8")


def test_debian_package_needs_nothing(package):
    fields = subprocess.run(
        ["dpkg-deb", "--field", package], capture_output=True, text=True, check=True
    ).stdout
    assert "Depends:" not in fields and "Package: lockstep\n" in fields


# -- images ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(engine, tmp_path_factory):
    """The image `lockstep`, built by the line that stands in release/Dockerfile."""
    context = tmp_path_factory.mktemp("context")
    for name in ("release/Dockerfile", ".dockerignore"):
        (context / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, context / name)
    (context / "dist").mkdir()
    shutil.copy(BINARY.resolve(), context / "dist/lockstep")
    engine.docker("build", "--network", "none", "-f", context / "release/Dockerfile",
                  "-t", "lockstep", context)  # fmt: skip
    return "lockstep"


@pytest.fixture(scope="module")
def images(engine, released):
    """{what kind of image: its name}; each has the binary as /lockstep, by COPY --from."""
    ca = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    bundle = ca.read_bytes() if ca.is_file() else b"none\n"
    engine.image_from_files(
        "distroless-base",
        {
            "/etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\n"
            f"nonroot:x:{NOBODY}:{NOBODY}:nonroot:/home/nonroot:/sbin/nologin\n",
            "/etc/group": f"root:x:0:\nnonroot:x:{NOBODY}:\n",
            "/etc/nsswitch.conf": "hosts: files dns\n",
            "/etc/ssl/certs/ca-certificates.crt": bundle,
            "/home/nonroot/": "",
            "/tmp/": ("", 0o1777),
        },
        f"USER {NOBODY}",
        "WORKDIR /home/nonroot",
    )
    made = {"scratch": released}
    for kind, base in (("busybox", "busybox"), ("distroless", "distroless-base")):
        made[kind] = with_binary(engine, kind, base)
    return made


def with_binary(engine, kind, base, *lines):
    text = "\n".join([f"FROM {base}", "COPY --from=lockstep /lockstep /lockstep",
                      *(lines or ['ENTRYPOINT ["/lockstep"]'])])  # fmt: skip
    # A Dockerfile without a context, as it may be given on stdin.
    engine.docker("build", "--network", "none", "-t", f"with-{kind}", "-", stdin=text.encode())
    return f"with-{kind}"


@pytest.fixture(scope="module")
def debian_image(engine, released):
    try:
        archive = debian.packed()
    except servers.Missing as missing:
        pytest.skip(str(missing))
    assert released
    engine.image_from_tar("debian", archive.read_bytes())
    return with_binary(engine, "debian", "debian")


@pytest.fixture
def volume(engine):
    """A directory of the user NOBODY with two migrations, for containers to mount."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=engine.folder))
    (folder / "migrations").mkdir(parents=True)
    for name, text in two().items():
        (folder / "migrations" / name).write_text(text, encoding="utf-8")
    os.chown(folder, NOBODY, NOBODY)
    return folder


def confined(volume):
    """Options: no root, no rights, no network, nothing to write to but the volume."""
    return ["--user", f"{NOBODY}:{NOBODY}", "--read-only", "--cap-drop", "ALL", "--network", "none",
            "--security-opt", "no-new-privileges", "--memory", "64m", "--pids-limit", "8",
            "-v", f"{volume}:/data", "-w", "/data", "-e", "DATABASE_URL=sqlite:////data/app.db"]  # fmt: skip


def test_image_is_the_binary(engine, released):
    """One file from scratch; what it is told to do by default, it does."""
    saved = tarfile.open(fileobj=io.BytesIO(engine.docker("save", released).raw))
    with saved:
        manifest = json.load(saved.extractfile("manifest.json"))[0]
        assert len(manifest["Layers"]) == 1
        with tarfile.open(fileobj=saved.extractfile(manifest["Layers"][0])) as layer:
            assert layer.getnames() == ["lockstep"]
            assert layer.getmember("lockstep").mode & 0o7777 == 0o755
            assert layer.extractfile("lockstep").read() == BINARY.read_bytes()
    assert "Usage" in engine.docker("run", "--rm", "--network", "none", released).stdout
    assert engine.docker("run", "--rm", released, "version").stdout.startswith("lockstep ")


@pytest.mark.parametrize("kind", ["scratch", "busybox", "distroless", "debian"])
def test_confined(request, engine, volume, kind):
    image = (request.getfixturevalue("debian_image") if kind == "debian"
             else request.getfixturevalue("images")[kind])  # fmt: skip

    def run(*words, **more):
        return engine.docker("run", "--rm", *confined(volume), image, *words, **more)

    assert run("version").stdout.startswith("lockstep ")
    assert run("migrate").stderr.count("Migration applied") == 2
    assert "Migration applied" not in run("migrate").stderr
    assert json.loads(run("status", "--json").stdout)["state"] == "current"
    assert databases.Sqlite(volume / "app.db").exists("person")
    assert (volume / "app.db").stat().st_uid == NOBODY
    # Into itself, the one program that every one of them has.
    assert run("run", "--", "/lockstep", "version").stdout.startswith("lockstep ")


SERVICE = """trap 'echo stopping; exit 42' TERM
echo "pid $$"; echo "of $(tr '\\0' ' ' </proc/1/cmdline)"; echo "argument $1"
while :; do sleep 0.05; done
"""


@pytest.fixture(scope="module")
def service(engine, released):
    """An image as its users make it: their program, and lockstep in front of it."""
    assert released
    engine.image_from_files("service-base", {"/bin/busybox": pathlib.Path(shutil.which("busybox")),
                                             "/bin/serve": (f"#!/bin/sh\n{SERVICE}", 0o755),
                                             **{f"/bin/{name}": Link("busybox") for name in
                                                ("sh", "sleep", "tr")}})  # fmt: skip
    return with_binary(
        engine, "service", "service-base", "WORKDIR /data",
        'ENTRYPOINT ["/lockstep", "run", "--"]', 'CMD ["/bin/serve", "as ever"]',
    )  # fmt: skip


def test_becomes_the_service(engine, service, volume):
    engine.docker("run", "-d", "--name", "serving", *confined(volume), service)
    try:
        # Lines of the service follow those of the migrations only.
        for _ in range(100):
            logs = engine.docker("logs", "serving")
            if "argument" in logs.stdout:
                break
            engine.docker("run", "--rm", "busybox", "sleep", "0.05")
        assert logs.stdout.splitlines() == [
            "pid 1", "of /bin/sh /bin/serve as ever ", "argument as ever"
        ], logs  # fmt: skip
        assert logs.stderr.count("Migration applied") == 2
        # Nothing of lockstep is left in there.
        top = engine.docker("top", "serving", "-o", "pid,args").stdout
        assert "lockstep" not in top and "/bin/serve" in top
        # Signals are the service's own again.
        engine.docker("stop", "--time", "20", "serving")
        state = engine.inspect("serving")["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (42, False)
        assert engine.docker("logs", "serving").stdout.endswith("stopping\n")
    finally:
        engine.docker("rm", "-f", "serving")


def test_exit_code_of_the_service(engine, service, volume):
    run = ["run", "--rm", *confined(volume), service]
    engine.docker(*run, "/bin/sh", "-c", "exit 7", expect=7)
    assert engine.docker(*run, "/nowhere", expect=127).stderr


def test_no_service_without_its_schema(engine, service, volume):
    (volume / "migrations/003_broken.sql").write_text("CREATE TABLE (;\n", encoding="ascii")
    done = engine.docker("run", "--rm", *confined(volume), service, expect=None)
    assert done.returncode not in (0, 42, 125) and "003_broken" in done.stderr
    assert done.stdout == ""
