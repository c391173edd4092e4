# SPDX-License-Identifier: Apache-2.0
"""Values against a table of structures in tests/schemas/: {structure: {member: kind}}, where "!" after
a kind says that it must be there, "*" that it is a list, and "a|b" that it is one of these words."""

import json

from .binary import ROOT

TYPES = {"string": str, "integer": int, "boolean": bool, "map": dict}


def table(name):
    return json.loads((ROOT / f"tests/schemas/{name}.json").read_text())


def errors(structures, kind, value, path):
    """What is wrong with a value that is to be of that kind."""
    kind = kind.rstrip("!")
    if kind.endswith("*"):
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [error for one in value for error in errors(structures, kind[:-1], one, path)]
    if kind not in structures:
        fits = isinstance(value, TYPES[kind]) if kind in TYPES else value in kind.split("|")
        return [] if fits else [f"{path}: {value!r} is no {kind}"]
    if not isinstance(value, dict):
        return [f"{path} is no structure"]
    members = structures[kind]
    found = [f"{path}: no {one}" for one in value if one not in members]
    for one, member in members.items():
        if one in value:
            found += errors(structures, member, value[one], f"{path}.{one}")
        elif member.endswith("!"):
            found.append(f"{path}: {one} is missing")
    return found
