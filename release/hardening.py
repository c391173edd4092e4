# SPDX-License-Identifier: Apache-2.0
"""What a static binary can have against being broken into, read from the file itself."""

import os
import re
import subprocess

# x86-64: `sub %fs:0x28, register` (or `xor`, older compilers), which ends each protected function.
CANARY = re.compile(rb"\x64[\x48\x4c][\x2b\x33][\x04\x0c\x14\x1c\x24\x2c\x34\x3c]\x25\x28\0\0\0")


def readelf(path, *options):
    return subprocess.run(
        ["readelf", "-W", *options, path],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    ).stdout


def calls(objdump, unstripped, name):
    """How often the code calls a function."""
    code = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", unstripped], check=True, capture_output=True, text=True
    ).stdout
    return code.count(f" <{name}>\n")


def stack_protector(path, header, unstripped, objdump):
    """Musl has the function that a broken canary calls in every program: uses are counted."""
    if "X86-64" in header:
        count = len(CANARY.findall(path.read_bytes()))
    elif unstripped is not None:
        count = calls(objdump, unstripped, "__stack_chk_fail")
    else:
        return None, "cannot be told from a stripped file of this architecture"
    return count > 1000, f"{count} functions compare their canary"


def rows(path, unstripped=None, objdump="objdump"):
    """(what, has it, how that shows): True, False, or None where it cannot be told or be had."""
    header, segments, dynamic = (readelf(path, option) for option in ("-h", "-l", "-d"))
    stack = next((line for line in segments.splitlines() if "GNU_STACK" in line), "")
    return [
        ("static", "INTERP" not in segments and "(NEEDED)" not in dynamic,
         "no interpreter, no shared library"),
        ("position-independent (PIE)", "DYN (" in header and " PIE" in dynamic,
         "type DYN, flag PIE: the kernel chooses its address"),
        ("relocations read-only (RELRO)", "GNU_RELRO" in segments, "segment GNU_RELRO"),
        ("all bound at start (NOW)", "BIND_NOW" in dynamic and "Flags: NOW" in dynamic,
         "BIND_NOW, which makes RELRO full"),
        ("no executable stack", bool(stack) and "RWE" not in stack, "GNU_STACK is RW"),
        ("nothing writable and executable", "RWE" not in segments, "no segment is RWE"),
        ("no text relocations", "TEXTREL" not in dynamic, "code is never written"),
        ("stack protector", *stack_protector(path, header, unstripped, objdump)),
        ("fortified functions", None, "musl has none"),
    ]


def table(found):
    words = {True: "yes", False: "NO", None: "-"}
    head = f"  {'':<33}{'has':<5}looked for\n"
    return head + "".join(f"  {name:<33}{words[has]:<5}{how}\n" for name, has, how in found)


def lacking(found):
    return [name for name, has, _ in found if has is False]
