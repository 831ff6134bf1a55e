# SPDX-License-Identifier: MIT
"""Processes that race for coupon codes, round after round; importable by them."""

from __future__ import annotations

import multiprocessing

from frappe_enroll_sdk.models import ReserveOutcome
from frappe_enroll_sdk.testing.conformance.records import after


PROCESSES, CLAIMS = 16, 50
#: Seconds that one round may take at the most.
LONG_S = 600


def race(factory, barrier, number, codes, winners) -> None:
    """Claim each round's code many times over, each time for another holder."""
    storage = factory()
    storage.now()
    for code in codes:
        won = []
        barrier.wait(LONG_S)
        for claim in range(CLAIMS):
            holder = f"enr_{number:02d}_{claim:02d}"
            answer = storage.coupons.reserve(code, holder, after(1000), after(1900))
            if answer.outcome is ReserveOutcome.RESERVED:
                won.append(holder)
        winners.put((code, won))
    storage.close()


def run_races(factory, codes) -> dict[str, list[str]]:
    """Let the processes race for each code in turn; return the winners of each."""
    context = multiprocessing.get_context("spawn")
    barrier, winners = context.Barrier(PROCESSES), context.Queue()
    racers = [
        context.Process(target=race, args=(factory, barrier, number, codes, winners))
        for number in range(PROCESSES)
    ]
    for racer in racers:
        racer.start()
    won: dict[str, list[str]] = {code: [] for code in codes}
    for _ in range(PROCESSES * len(codes)):
        code, holders = winners.get(timeout=LONG_S)
        won[code] += holders
    for racer in racers:
        racer.join(LONG_S)
        assert racer.exitcode == 0
    return won
