# SPDX-License-Identifier: MIT
"""
Processes that race: started once, they serve one race after another.

Each opens the store anew for each race, by the suite's factory. They end with the
process that started them, whatever becomes of it: their pipes end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


_START_S, _END_S = 60, 120
_GO = "go"

#: What one process does for a share of the racers: (store, their numbers) to answers.
Run = Callable[[Any, range], list[Any]]


class Racers:
    """
    Processes that all start at once; used by one thread.

    Args:
        processes: How many.
    """

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            # A daemon, so that the interpreter does not wait for it at exit.
            context.Process(target=_serve, args=(theirs,), daemon=True).start()
            theirs.close()
            self._pipes.append(ours)

    def race(self, factory: Callable[[], Any], run: Run, count: int) -> list[Any]:
        """Let `count` racers act at once; return their answers, errors among them."""
        for first, pipe in enumerate(self._pipes):
            pipe.send((factory, run, range(first, count, len(self._pipes))))
        opened = [self._receive(pipe, _START_S) for pipe in self._pipes]
        failed = [answer for answer in opened if answer is not None]
        if failed:
            return failed
        for pipe in self._pipes:
            pipe.send(_GO)
        shares = [self._receive(pipe, _END_S) for pipe in self._pipes]
        return [answer for share in shares for answer in share]

    @staticmethod
    def _receive(pipe: Connection, seconds: int) -> Any:
        if not pipe.poll(seconds):
            message = f"a racing process has not answered for {seconds} s"
            raise TimeoutError(message)
        return pipe.recv()

    def close(self) -> None:
        """Make them end."""
        for pipe in self._pipes:
            pipe.close()


def _serve(pipe: Connection) -> None:
    """Race until the other side closes the pipe."""
    with contextlib.suppress(EOFError):
        while True:
            factory, run, share = pipe.recv()
            try:
                storage = factory()
                storage.now()
            except Exception as error:  # noqa: BLE001  raised in the caller's process
                pipe.send(error)
                continue
            pipe.send(None)
            if pipe.recv() != _GO:
                return
            try:
                answers = run(storage, share)
            except Exception as error:  # noqa: BLE001  raised in the caller's process
                answers = [error]
            storage.close()
            pipe.send(answers)
