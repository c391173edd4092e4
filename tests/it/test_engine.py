# SPDX-License-Identifier: Apache-2.0
"""The container engine of the tests (support/engine.py): quick, cut off, and gone without a trace."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from support import net
from support.engine import Engine, Link
from support.servers import Missing

HERE = pathlib.Path(__file__).parent


def outside():
    """What an engine without namespaces would leave on the machine, beside its control groups."""
    links = [link for link in os.listdir("/sys/class/net") if link.startswith(("docker", "br-"))]
    return sorted(
        links + [name for name in os.listdir("/run") if name.startswith(("docker", "containerd"))]
    )


def processes(word):
    """Command lines that hold it, of whatever is not a zombie."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.add(path.parent.name)
        except OSError:
            pass
    return found


@pytest.fixture
def started():
    """An Engine of this test alone, and its folder's name, which is in its daemons' command lines."""
    engine = Engine()
    try:
        engine.__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    yield engine, engine.folder
    engine.stop()


def test_leaves_nothing():
    before = outside()
    try:
        with Engine() as engine:
            folder = engine.folder
            engine.docker("run", "-d", "--memory", "32m", "-p", "80:80", "busybox", "sleep", "1000")
            assert len(processes(str(folder))) > 2
    except Missing as missing:
        pytest.skip(str(missing))
    assert not processes(str(folder)) and not folder.exists()
    assert outside() == before
    # Those of other engines, which may run beside this one, are theirs.
    assert not [group for group, _, _ in os.walk("/sys/fs/cgroup") if folder.name in group]


def test_leaves_no_process_when_killed():
    """As when a CI job ends: nobody is left to stop the engine."""
    script = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
              "from support.engine import Engine, Missing\n"
              "engine = Engine()\n"
              "try: engine.__enter__()\n"
              "except Missing as missing: sys.exit(f'missing: {missing}')\n"
              "engine.docker('run', '-d', 'busybox', 'sleep', '1000')\n"
              "print(engine.folder, flush=True); time.sleep(600)\n")  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", script, HERE],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=net.die_with_parent,
    ) as process:  # fmt: skip
        folder = process.stdout.readline().strip()
        if not folder:
            said = process.stderr.read()
            if "missing: " in said:
                pytest.skip(said)
            raise AssertionError(said)
        assert processes(folder)
        process.send_signal(signal.SIGKILL)
    net.until(lambda: not processes(folder), timeout=10, what="the end of the engine")
    # The folder and the empty groups it could not remove: by the same means as always.
    left = Engine()
    left.folder, left.group = pathlib.Path(folder), pathlib.Path(folder).name
    left.remove()
    assert not left.folder.exists()


def test_two_at_once(started):
    """The same names and ports in both."""
    first, _ = started
    with Engine() as second:
        for engine in (first, second):
            engine.docker("run", "-d", "--name", "same", "-p", "8080:80", "busybox", "sleep", "99")
        second.docker("rm", "-f", "same")
        assert first.inspect("same")["State"]["Running"]
    assert first.inspect("same")["State"]["Running"]


def test_images_and_answers(started, tmp_path):
    engine, _ = started
    (tmp_path / "own").write_text("of a file", encoding="ascii")
    engine.image_from_files(
        "made",
        {"/bin/busybox": pathlib.Path("/bin/busybox"), "/bin/sh": Link("busybox"),
         "/bin/cat": Link("busybox"), "/bin/stat": Link("busybox"), "/own": tmp_path / "own",
         "/text": ("a text\n", 0o600), "/bytes": b"\0\1", "/empty/": ""},
        "USER 0", "ENV GREETING=hello", 'ENTRYPOINT ["/bin/sh", "-c"]',
    )  # fmt: skip
    run = ["run", "--rm", "made"]
    seen = engine.docker(*run, "cat /own /text; echo $GREETING; stat -c %a /text /empty").stdout
    assert seen == "of a filea text\nhello\n600\n755\n"
    assert engine.docker(*run, "cat /bytes").raw == b"\0\1"
    assert engine.docker(*run, "exit 5", expect=5).returncode == 5
    assert engine.docker("run", "-i", *run[1:], "cat", stdin=b"said").stdout == "said"
    with pytest.raises(AssertionError, match="expected exit 0, got 5"):
        engine.docker(*run, "exit 5")
    with pytest.raises(subprocess.TimeoutExpired):
        engine.docker("run", "busybox", "sleep", "60", timeout=1)


def test_no_way_out(started):
    """What is not there cannot be fetched, and no container reaches this machine's servers."""
    engine, _ = started
    engine.docker("run", "--rm", "never-made", "true", expect=125)
    server = socket.create_server(("0.0.0.0", 0))
    with server:
        port = server.getsockname()[1]
        for network in ("host", "bridge"):
            words = ["run", "--rm", "--network", network, "busybox", "nc", "-w", "1"]
            host = "127.0.0.1" if network == "host" else "172.17.0.1"
            engine.docker(*words, host, port, expect=1)


def test_containers_find_each_other(started):
    engine, _ = started
    engine.docker("network", "create", "own")
    engine.docker("run", "-d", "--network", "own", "--name", "server", "busybox",
                  "nc", "-ll", "-p", "99", "-e", "echo", "reached")  # fmt: skip
    client = ["run", "--rm", "--network", "own", "busybox", "nc", "-w", "5", "server", "99"]
    net.until(lambda: "reached" in engine.docker(*client, expect=None).stdout, what="an answer")


def test_says_why_not(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Missing, match="is not installed|needs root"):
        Engine().__enter__()  # pylint: disable=unnecessary-dunder-call
