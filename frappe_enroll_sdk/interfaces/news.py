# SPDX-License-Identifier: MIT
"""How a store announces that something has changed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Watch(Protocol):
    """
    Waits for due work; created by `Storage.watch`, used and closed by one thread.

    Only a hint (callers poll as well): it may return too early or for nothing, and a
    store that can't tell, or has lost its connection, simply waits.
    """

    def wait(self, timeout_s: float, *, now: datetime) -> bool:
        """
        Wait until something may have become due since the last call; True = look.

        The first call covers everything since the watch was created. `now` is the
        caller's time at the call.
        """
        ...

    def close(self) -> None:
        """Release the watch's resources."""
        ...
