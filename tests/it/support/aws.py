# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a call of `aws ecs`, by the model that its options are made from
(tests/schemas/ecs.json): options, what is given to them, and what is asked of the answer."""

import json
import re

from . import tables

ECS = tables.table("ecs")
OF_ALL = {"query", "output"}


def errors(call):
    """call: the words as a stand-in writes them down."""
    name, *options = re.split(r" --(?=[a-z])", call)
    about = ECS["calls"].get(name.removeprefix("aws ecs "))
    if not about:
        return [f"no call {name}"]
    given = dict(re.fullmatch(r"(\S+)(?: (.*))?", one, re.S).groups() for one in options)
    request, answer = about
    kinds = ECS["structures"][request]
    members = {re.sub("([A-Z])", r"-\1", one).lower(): one for one in kinds}
    found = [f"{name}: no --{one}" for one in given if one not in members and one not in OF_ALL]
    value = {
        members[one]: of_words(kinds[members[one]], text)
        for one, text in given.items()
        if one in members
    }
    found += tables.errors(ECS["structures"], request, value, name)
    return found + (of_query(answer, given["query"], name) if "query" in given else [])


def of_words(kind, text):
    """As the command line reads it: JSON, its shorthand, words, or one word."""
    kind = kind.rstrip("!")
    if text.startswith(("{", "[")):
        return json.loads(text)
    if kind in ECS["structures"]:
        quoted = re.sub(r"[^][{},=]+", lambda word: json.dumps(word[0]), text)
        return json.loads("{" + quoted.replace("=", ":") + "}")
    if kind.endswith("*"):
        return text.split(" ")
    return int(text) if kind == "integer" else text


def of_query(kind, text, path):
    """The parts of JMESPath that scripts use: a.b, [0], [?a=='b'], .[a,b] and |."""
    each = False
    for token in re.findall(r"\w+|\[\d+\]|\[\?\w+==[^]]*\]|\[[\w,]+\]|\|", text):
        names = re.findall(r"\w+", token)
        if re.fullmatch(r"\[\d+\]|\[\?.*", token):
            if not kind.endswith("*"):
                return [f"{path}: {token} of what is no list"]
            each = token.startswith("[?")
            kind = kind if each else kind[:-1]
            names = names[:1] if each else []
        if token == "|":
            each = False
            continue
        inside = ECS["structures"].get(kind[:-1] if each else kind, {})
        for one in names:
            if one not in inside:
                return [f"{path}: no {one} in {kind}"]
        if re.fullmatch(r"\w+", token):
            kind = inside[token].rstrip("!") + ("*" if each else "")
    return []
