# SPDX-License-Identifier: MIT
"""
How much of a long run is done, by ``ENROLL_TEST_SIZE``.

A sample by default, all of it with "full" (``nox -s soak``), and a smaller sample with
"brief" (``.ci/run``). "least" also leaves out what servers and other programs do: on
the Pythons after the first one, and with the oldest dependencies. A sample begins at
random, so that over many runs nothing is left out.
"""

from __future__ import annotations

import os
import random

import pytest


_SIZE = os.environ.get("ENROLL_TEST_SIZE", "")
FULL, LEAST = _SIZE == "full", _SIZE == "least"
BRIEF = LEAST or _SIZE == "brief"


#: Why a test of the server is left out with the smallest size.
SERVER_DIFFERS = "the server, not the Python, is what differs: runs with the first one"
#: The same for what other programs do: SQLite's file, mypy, a web server.
PROGRAM_DIFFERS = "a program, not the Python, is what differs: runs with the first one"
with_the_first_python = pytest.mark.skipif(LEAST, reason=PROGRAM_DIFFERS)


def step_of(steps: int, *, small: int) -> tuple[int, int]:
    """Return a stride over `steps` and its first: all, or about `small` of them."""
    small = max(small // 3, min(small, 2)) if BRIEF else small
    if FULL or steps <= small:
        return 1, 1
    stride = -(-steps // small)
    return stride, random.randint(1, stride)


def times(small: int, full: int) -> int:
    """Return how often something is done."""
    if FULL:
        return full
    return max(small // 4, min(small, 2)) if BRIEF else small


def play_one_of(share: int) -> None:
    """Skip a test, but for one of `share` at random; none at full size."""
    if not FULL and random.randrange(share):
        pytest.skip(f"one of {share} is played, at random; all at full size")
