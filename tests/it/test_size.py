# SPDX-License-Identifier: Apache-2.0
"""How large the released binary is, and whether docs/size.md still tells of it.

Left out (conftest.py) unless the binary under test lies in a dist/ with its files beside it.
"""

import platform
import re

import pytest
from support.binary import BINARY, ROOT

pytestmark = pytest.mark.release
LIMIT = 7_500_000
PAGE = (ROOT / "docs/size.md").read_text(encoding="utf-8")


def test_limit():
    assert BINARY.stat().st_size <= LIMIT


@pytest.mark.skipif(
    platform.machine() != "x86_64" or BINARY.resolve().parent.name != "dist",
    reason="docs/size.md was measured for x86_64",
)
def test_page_is_near():
    """Each commit moves some bytes; a page that is a twentieth off is of another program."""
    told = int(re.search(r"\*\*([\d,]+) bytes\*\*", PAGE)[1].replace(",", ""))
    assert abs(BINARY.stat().st_size - told) <= told / 20, "write it anew: make size"


def test_page_adds_up():
    told = int(re.search(r"\*\*([\d,]+) bytes\*\*", PAGE)[1].replace(",", ""))
    table = PAGE[PAGE.index("## By library") : PAGE.index("## Left out")]
    kilobytes = [int(n.replace(",", "")) for n in re.findall(r"\| ([\d,]+) \| [\d.]+ % \|", table)]
    assert abs(sum(kilobytes) - told / 1000) <= len(kilobytes) / 2 + 1
