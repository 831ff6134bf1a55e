# SPDX-License-Identifier: MIT
"""News between the threads of one process: something may have fallen due."""

from __future__ import annotations

import threading
from datetime import datetime


__all__ = ("News", "NewsWatch")


class News:
    """Counts announcements, and lets threads wait for the next one. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many announcements there were."""
        return self._count

    def announce(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, since: int, timeout_s: float) -> int:
        """Wait until there are more than `since`; return how many there are now."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != since, timeout_s)
            return self._count


class NewsWatch:
    """`Watch` over the news of this process alone."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._seen = news.count

    def wait(self, timeout_s: float, *, now: datetime) -> bool:  # noqa: ARG002  news has no time
        """See `Watch.wait`."""
        before, self._seen = self._seen, self._news.wait(self._seen, timeout_s)
        return self._seen != before

    def close(self) -> None:
        """Hold nothing, give back nothing."""
