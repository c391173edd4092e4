# SPDX-License-Identifier: Apache-2.0
"""One line a step, with the seconds that it took."""

import contextlib
import sys
import time


@contextlib.contextmanager
def say(what):
    began = time.monotonic()
    print(f"{what:<48}", end="", flush=True, file=sys.stderr)
    try:
        yield
    except BaseException:
        print(" failed", file=sys.stderr)
        raise
    print(f" {time.monotonic() - began:6.1f} s", file=sys.stderr)
