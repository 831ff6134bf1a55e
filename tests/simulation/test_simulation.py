# SPDX-License-Identifier: MIT
"""Whole histories: with a fresh seed each time, and those that once found something."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from simulation import mutants
from simulation.play import Strict, play, run
from simulation.seeds import FOUND
from support.size import FULL, times

from frappe_enroll_sdk.clock import SYSTEM, Ambient, FakeClock


HERE = Path(__file__).resolve().parent


def test_histories_keep_the_promises(capsys):
    """Whatever goes wrong in them: at rest all is as promised."""
    first = secrets.randbelow(10**9)
    total = run(count(first), seconds=times(60, 600))
    with capsys.disabled():
        print(f"\nfirst seed: {first}\n{total.text()}")
    assert total.histories > 0
    assert not total.found, total.found[0].violations


def test_seeds_that_found_something_find_nothing():
    """What was mended stays mended."""
    total = run(FOUND)
    assert total.histories == len(FOUND)
    assert not total.found, total.text()


def digest_of(seeds):
    """Return a digest of what happens in histories, call by call."""
    with Strict():
        told = ["\n".join(play(seed, told=True).trace) for seed in seeds]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def test_seed_is_a_trace():
    """One seed gives one history: again, after others, and in another process."""
    seeds = range(1, times(40, 1000))
    here = digest_of(seeds)
    digest_of(range(5000, 5020))
    assert digest_of(seeds) == here
    script = f"from simulation.test_simulation import *; print(digest_of({seeds!r}))"
    for salt in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": salt,
            "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path]),
        }
        told = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        assert told.stdout.strip() == here


def test_history_asks_the_host_for_nothing():
    """Time and dice of the host would make another history of the same seed."""
    with Strict():
        bare = Ambient(FakeClock())
        for ask in (
            SYSTEM.monotonic,
            lambda: SYSTEM.sleep(0),
            lambda: SYSTEM.random_bytes(1),
            bare.monotonic,
            lambda: bare.random_bytes(1),
        ):
            with pytest.raises(AssertionError):
                ask()
    assert SYSTEM.random_bytes(1)


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_broken_promise_is_found(name):
    """A simulator that does not find broken code plays past the promise."""
    if name in mutants.RARE and not FULL:
        pytest.skip("takes minutes to be found: at full size only")
    first = 1 if FULL else mutants.SEEDS.get(name, 1)
    total, _ = mutants.hunt(name, first=first, seconds=900 if FULL else 60)
    assert total.found, f"not found in {total.histories} histories"
