# SPDX-License-Identifier: Apache-2.0
"""`make demo` does what it says, and leaves nothing behind when it is stopped half-way."""

import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOCKSTEP = pathlib.Path(os.environ.get("LOCKSTEP", ROOT / "build/lockstep"))


def demo(tmp_path, *options):
    return subprocess.Popen(
        ["/usr/bin/python3", ROOT / "tools/demo", "--lockstep", LOCKSTEP, "--fast", *options],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_below(tmp_path):
    """Processes that still work in the demo's directory."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry).startswith(str(tmp_path)):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def test_the_demo_keeps_its_claims(tmp_path):
    process = demo(tmp_path)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    assert output.count("  = ") == 10, output
    assert "applied once: 001, 002" in output
    assert "ended with exit code 1" in output
    assert not processes_below(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_false_claim_ends_the_demo(tmp_path):
    # /bin/true is no lockstep: nothing is served.
    process = subprocess.Popen(
        ["/usr/bin/python3", ROOT / "tools/demo", "--lockstep", "/bin/true", "--fast"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "not true: replica 1 of release 1 does not serve" in output
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    process = demo(tmp_path)
    seen = ""
    while "serves" not in seen:
        seen = process.stdout.readline()
        assert seen, "the demo ended before it served"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    deadline = time.monotonic() + 10
    while processes_below(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_below(tmp_path)
    assert not list(tmp_path.iterdir())
