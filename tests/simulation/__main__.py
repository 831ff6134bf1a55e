# SPDX-License-Identifier: MIT
"""
``python tests/simulation``: play histories for some minutes, one of them, or mutants.

``--seed S -v`` tells one history, call by call.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from itertools import count
from pathlib import Path


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simulation import mutants
from simulation.play import Strict, play, run
from simulation.seeds import FOUND


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to play")
    parser.add_argument("--first", type=int, help="the first seed; random if not given")
    parser.add_argument("--seed", type=int, help="play one history")
    parser.add_argument("--found", action="store_true", help="play what once found")
    parser.add_argument("--mutants", action="store_true", help="look for broken code")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each call")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return _one(chosen.seed, told=chosen.verbose)
    if chosen.mutants:
        return _mutants(chosen.first or 1, chosen.minutes)
    first = chosen.first if chosen.first is not None else secrets.randbelow(10**9)
    seeds = FOUND if chosen.found else count(first)
    print(f"first seed: {first}")
    total = run(seeds, seconds=chosen.minutes * 60)
    print(total.text())
    return 1 if total.found else 0


def _one(seed: int, *, told: bool) -> int:
    with Strict():
        history = play(seed, told=told)
    print("\n".join(history.trace))
    print(f"seed {seed}: {', '.join(history.on)}")
    print(f"faults: {dict(history.faults)}, {history.calls} calls")
    for kind, text in history.violations:
        print(f"VIOLATION {kind}: {text}")
    return 1 if history.violations else 0


def _mutants(first: int, minutes: float) -> int:
    missed = 0
    for name in mutants.MUTANTS:
        total, seconds = mutants.hunt(name, first=first, seconds=minutes * 60)
        kinds = sorted({kind for one in total.found for kind, _ in one.violations})
        missed += not kinds
        print(
            f"{name:<46} {', '.join(kinds) or 'NOT FOUND':<20} "
            f"{seconds:6.1f} s, {total.histories} histories"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
