# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a Terraform module, by its provider's schema (tests/schemas/google-*.json) and by
what it refers to. Files are as hcl2json gives them: blocks are lists, expressions are "${...}"."""

import json
import re

from .binary import ROOT

PROVIDERS = [
    json.loads(path.read_text()) for path in sorted((ROOT / "tests/schemas").glob("google-*.json"))
]
# What Terraform itself takes in every resource.
OF_ALL = ("count", "for_each", "depends_on", "provider", "lifecycle", "provisioner")
BUILT_IN = {"terraform_data": {"input", "triggers_replace", *OF_ALL}}
TYPES = {
    "string": (str, int, float, bool),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
}
REFERENCE = re.compile(r"\b(google_\w+|terraform_data)\.(\w+)(?:\[[^]]*\])?(?:\.(\w+))?")


def errors(google, *files):
    """Of all files of one module together; google: one of PROVIDERS."""
    resources, variables, named = {}, set(), set()
    for parsed in files:
        variables |= set(parsed.get("variable", {}))
        for group in parsed.get("locals", []):
            named |= set(group)
        for kind, ones in parsed.get("resource", {}).items():
            resources.setdefault(kind, {}).update(ones)
    found = []
    for kind, ones in resources.items():
        for name, blocks in ones.items():
            (block,) = blocks
            if kind in BUILT_IN:
                found += [f"{kind}.{name}: no {key}" for key in set(block) - BUILT_IN[kind]]
            elif kind in google["resources"]:
                about = google["resources"][kind]["is"]
                own = {key: value for key, value in block.items() if key not in OF_ALL}
                found += list(of_block(google, own, about, f"{kind}.{name}"))
            else:
                found.append(f"{kind} is not known")
    text = "\n".join(expressions(files))
    found += [f"no variable {one}" for one in set(re.findall(r"\bvar\.(\w+)", text)) - variables]
    found += [f"no local {one}" for one in set(re.findall(r"\blocal\.(\w+)", text)) - named]
    for kind, name, attribute in set(REFERENCE.findall(text)):
        exported = google["resources"].get(kind, {"exports": ["id", "input", "output"]})["exports"]
        if name not in resources.get(kind, {}):
            found.append(f"no resource {kind}.{name}")
        elif attribute and attribute not in exported:
            found.append(f"{kind} exports no {attribute}")
    unused = variables - set(re.findall(r"\bvar\.(\w+)", text))
    return found + [f"variable {one} is used nowhere" for one in unused]


def of_block(google, block, about, path):
    known = google["blocks"][about]
    given = {name: ones for name, ones in block.items() if name != "dynamic"}
    for name, ones in block.get("dynamic", {}).items():
        given.setdefault(name, [])
        for one in ones:
            given[name] = given[name] + one["content"]
    for name, kind in known.items():
        if kind.endswith("!") and name not in given:
            yield f"{path}: {name} is missing"
    for name, value in given.items():
        kind = known.get(name, "").rstrip("!")
        if not kind:
            yield f"{path}: no {name}"
        elif kind in TYPES:
            expression = isinstance(value, str) and value.startswith("${")
            if not expression and not isinstance(value, TYPES[kind]):
                yield f"{path}: {name} is no {kind}"
        elif not isinstance(value, list):
            yield f"{path}: {name} is a block"
        elif len(value) > 1 and not kind.endswith("*"):
            yield f"{path}: {name} more than once"
        else:
            for one in value:
                yield from of_block(google, one, kind.rstrip("*"), f"{path}.{name}")


def expressions(value):
    if isinstance(value, str):
        yield from re.findall(r"\$\{(.*?)\}(?=$|[^}])", value, re.S)
    elif isinstance(value, dict):
        for one in value.values():
            yield from expressions(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from expressions(one)
