# SPDX-License-Identifier: Apache-2.0
"""What a release can leave out: options of meson_options.txt, and the libraries that go with them."""

import os

import lock

LIBRARIES = {
    "postgres": ("libpq", "libpg_query"),
    "mysql": ("libmariadb",),
    "sqlite": ("sqlite",),
    "notify": ("curl",),
}
ENGINES = {"postgres", "mysql", "sqlite"}


def wanted():
    """The words of LOCKSTEP_WITHOUT."""
    words = os.environ.get("LOCKSTEP_WITHOUT", "").split()
    for word in words:
        if word not in LIBRARIES:
            raise lock.Failed(
                f"LOCKSTEP_WITHOUT: '{word}' cannot be left out; {', '.join(LIBRARIES)} can be"
            )
    if ENGINES <= set(words):
        raise lock.Failed("LOCKSTEP_WITHOUT leaves no engine; keep one")
    return words


def options(words):
    """For `meson setup`."""
    return [f"-D{word}=disabled" for word in sorted(set(words))]


def linked(libraries, words):
    """The libraries that are still there."""
    gone = {name for word in words for name in LIBRARIES[word]}
    return [library for library in libraries if library.name not in gone]
