# SPDX-License-Identifier: MIT
"""Processes that race for coupon codes, round after round; importable by them."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

from frappe_enroll_sdk.models import ReserveOutcome
from frappe_enroll_sdk.testing.conformance.records import after


PROCESSES, CLAIMS = 16, 50
#: In each of the four processes that use up one code.
THREADS = 16
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


def use_up(factory, barrier, number, code, winners) -> None:
    """Claim by many threads until the code is exhausted, for each holder twice."""
    storage = factory()
    storage.now()
    barrier.wait(LONG_S)

    def claim(thread: int) -> list[str]:
        won: list[str] = []
        while True:
            holder = f"enr_{number}_{thread:02d}_{len(won):05d}"
            seats = [
                storage.coupons.reserve(code, holder, after(1000), after(1900))
                for _ in range(2)
            ]
            if seats[0].outcome is not ReserveOutcome.RESERVED:
                return won
            assert seats[0].seat == seats[1].seat
            won.append(holder)

    with ThreadPoolExecutor(THREADS) as threads:
        winners.put([h for won in threads.map(claim, range(THREADS)) for h in won])
    storage.close()


def use_up_by_many(factory, code) -> list[str]:
    """Let 64 clients, 16 threads in each of 4 processes, claim one code at once."""
    context = multiprocessing.get_context("spawn")
    barrier, winners = context.Barrier(4), context.Queue()
    clients = [
        context.Process(target=use_up, args=(factory, barrier, number, code, winners))
        for number in range(4)
    ]
    for client in clients:
        client.start()
    won = [holder for _ in clients for holder in winners.get(timeout=LONG_S)]
    for client in clients:
        client.join(LONG_S)
        assert client.exitcode == 0
    return won
