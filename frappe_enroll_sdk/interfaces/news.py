# SPDX-License-Identifier: MIT
"""How a store announces that something has changed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Watch(Protocol):
    """
    Waits for news; made by `Storage.watch`, used by one thread, closed by it.

    A hint only, polling stays the truth: it may answer too early or for nothing, and a
    store that can't tell (or a connection that was lost) just lets the time pass.
    """

    def wait(self, timeout_s: float, *, now: datetime) -> bool:
        """
        Wait until something may have fallen due since the last answer; True = look.

        News from before the first call, but after the watch was made, counts. `now` is
        the caller's time at the call.
        """
        ...

    def close(self) -> None:
        """Give back what the watch holds."""
        ...
