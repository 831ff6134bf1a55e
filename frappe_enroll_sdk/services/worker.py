# SPDX-License-Identifier: MIT
"""A long-running worker: passes in threads until it is told to stop."""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING

from ..errors import EnrollError


if TYPE_CHECKING:
    from .passes import Pass

logger = logging.getLogger(__name__)

_PASS_LIMIT = 50
_PASS_BUDGET_S = 20.0


class Worker:
    """
    Runs passes in `concurrency` threads; several workers need only the store.

    `run` blocks until `stop` is called (from another thread or a signal handler).
    What is running is finished, what is claimed and not begun is given back.
    """

    def __init__(self, one_pass: Pass, *, concurrency: int, poll_s: float) -> None:
        self._pass = one_pass
        self._concurrency = concurrency
        self._poll_s = poll_s
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Claim nothing more; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped."""
        threads = [
            threading.Thread(target=self._loop, name=f"frappe-enroll-{n}", daemon=True)
            for n in range(self._concurrency)
        ]
        logger.info("worker started", extra={"concurrency": self._concurrency})
        for thread in threads:
            thread.start()
        # Wait in slices: a plain join would keep signals from the main thread.
        while not self._stopping.wait(0.5):
            pass
        for thread in threads:
            thread.join()
        logger.info("worker stopped")

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                idle = (
                    self._pass(
                        _PASS_LIMIT, _PASS_BUDGET_S, stopping=self._stopping.is_set
                    ).claimed
                    == 0
                )
            except EnrollError as error:
                logger.warning("pass failed", extra={"error_code": error.code})
                idle = True
            except Exception:
                logger.exception("pass failed unexpectedly")
                idle = True
            if idle:
                # Jitter keeps many workers from asking at one moment.
                self._stopping.wait(self._poll_s * random.uniform(0.8, 1.2))  # noqa: S311
