# SPDX-License-Identifier: MIT
"""How much of a long run is done: a small part by default, all with ``nox -s soak``."""

from __future__ import annotations

import os
import random


FULL = os.environ.get("ENROLL_TEST_SIZE") == "full"


def step_of(steps: int, *, small: int) -> tuple[int, int]:
    """Return a stride over `steps` and its first: all, or about `small` of them."""
    if FULL or steps <= small:
        return 1, 1
    stride = -(-steps // small)
    return stride, random.randint(1, stride)


def times(small: int, full: int) -> int:
    """Return how often something is done."""
    return full if FULL else small
