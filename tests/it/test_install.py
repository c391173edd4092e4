# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts in place, as the programs see it that it is for: man, bash, zsh, fish."""

import os
import shutil
import subprocess

import pytest
from support.binary import BINARY, ROOT, SYSTEM_PATH


def need(program):
    path = shutil.which(program, path=SYSTEM_PATH)
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The binary under test installed, not built: that is `all`, which is left out."""
    need("make")
    folder = tmp_path_factory.mktemp("install")
    words = ["make", "-C", ROOT, "-o", "all", "install"]
    subprocess.run([*words, f"DESTDIR={folder}", f"LOCKSTEP={BINARY}"], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return folder / "usr/local"


@pytest.fixture
def shell(tree, tmp_path):
    """shell(words): what it printed, in a home of its own and with the installed lockstep only."""

    def run(*words):
        done = subprocess.run(
            words,
            env={
                "PATH": f"{tree}/bin:{SYSTEM_PATH}",
                "HOME": str(tmp_path),
                "XDG_DATA_DIRS": f"{tree}/share",
                "LC_ALL": "C.UTF-8",
                "TERM": "dumb",
            },
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    return run


def test_binary(tree):
    installed = tree / "bin/lockstep"
    assert installed.read_bytes() == BINARY.read_bytes()
    assert installed.stat().st_mode & 0o777 == 0o755
    done = subprocess.run([installed, "version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"lockstep ")


def test_nothing_else(tree):
    """Each file has its place, and may be read by all."""
    files = {path for path in tree.parent.parent.rglob("*") if path.is_file()}
    folders = ("bin/", "share/man/man1/", "share/man/man5/", "share/bash-completion/completions/",
               "share/zsh/site-functions/", "share/fish/vendor_completions.d/")  # fmt: skip
    for path in files:
        assert str(path.relative_to(tree)).startswith(folders), path
        assert path.stat().st_size and path.stat().st_mode & 0o444 == 0o444, path
    pages = {path.name for path in files if path.parent.parent.name == "man"}
    assert pages == {path.name for path in (ROOT / "docs/man").glob("*.[15]")}
    assert len(files) == len(pages) + 4


def test_another_prefix(tmp_path):
    need("make")
    subprocess.run(
        ["make", "-C", ROOT, "-o", "all", "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/it",
         f"LOCKSTEP={BINARY}"],
        check=True, timeout=60, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert os.listdir(tmp_path) == ["opt"] and os.listdir(tmp_path / "opt") == ["it"]
    assert os.access(tmp_path / "opt/it/bin/lockstep", os.X_OK)


def test_man(tree, shell):
    """man renders every page, and has nothing to say about it."""
    man = need("man")
    for page in sorted((tree / "share/man").rglob("*.[15]")):
        text = shell(man, "--warnings", "-E", "UTF-8", "-l", str(page))
        assert "NAME" in text and "lockstep" in text, page
    # By name as well, as a user asks for it.
    assert "lockstep-migrate" in shell(man, "-M", f"{tree}/share/man", "lockstep-migrate")


def test_bash(tree, shell):
    bash = need("bash")
    file = tree / "share/bash-completion/completions/lockstep"
    shell(bash, "-n", str(file))
    # As readline does it: the function that `complete` names, by the words and the cursor's.
    script = """
        source "$1" && shift
        read -r -a entry <<<"$(complete -p lockstep)"
        for ((i = 0; i < ${#entry[@]}; i++)); do
            [ "${entry[i]}" != -F ] || function=${entry[i + 1]}
        done
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "$function"
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def completed(*words):
        return shell(bash, "--norc", "-c", script, "-", str(file), *words).split()

    assert completed("lockstep", "mig") == ["migrate"]
    assert completed("lockstep", "migrate", "--dry") == ["--dry-run"]
    assert completed("lockstep", "migrate", "--log", "j") == ["json"]
    assert completed("lockstep", "nothing-of-that-name") == []


def test_fish(tree, shell):
    fish = need("fish")
    shell(fish, "--no-execute", str(tree / "share/fish/vendor_completions.d/lockstep.fish"))

    def completed(line):
        printed = shell(fish, "-c", "complete -C $argv[1]", line)
        return [entry.split("\t")[0] for entry in printed.splitlines()]

    assert completed("lockstep mig") == ["migrate"]
    assert completed("lockstep migrate --dry") == ["--dry-run"]
    assert completed("lockstep nothing-of-that-name") == []


def test_zsh(tree, shell):
    """In a terminal of its own, by the tabulator: zsh completes nowhere else."""
    zsh = need("zsh")
    functions = tree / "share/zsh/site-functions"
    shell(zsh, "-n", str(functions / "_lockstep"))
    shell(zsh, "-f", "-c", 'fpath=("$1" $fpath); autoload +X -Uz _lockstep', "-", str(functions))
    script = """
        zmodload zsh/zpty
        zpty terminal zsh -f -i
        zpty -w terminal "fpath=($1 \\$fpath); autoload -Uz compinit; compinit -D -u"
        zpty -w terminal 'echo "<${_comps[lockstep]}>"'
        zpty -r -m terminal line '*<_lockstep>*'
        zpty -w -n terminal $'lockstep mig\\t'
        zpty -r -m terminal line '*lockstep migrate*' && print completed
        zpty -d terminal
    """
    assert shell("timeout", "20", zsh, "-f", "-c", script, "-", str(functions)) == "completed\n"
