# SPDX-License-Identifier: MIT
"""
When a failed job runs again: pure.

Schedule: one try, then after 2, 4, 8, 16 and 32 minutes (±10 %), dead after the sixth.
"""

from __future__ import annotations

import math

import attrs


__all__: tuple[str, ...] = ()  # internal


#: Longest wait that a Retry-After header may ask for, in seconds.
RETRY_AFTER_CAP_S = 3600.0
#: Wait after a "slow down" without a time, in seconds.
THROTTLED_S = 60.0


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """
    Retry schedule of a job that fails for a cause of its own.

    Attributes:
        schedule_s: Seconds before the second, third, … try.
        jitter: Fraction by which each wait is randomly lengthened or shortened.
    """

    schedule_s: tuple[float, ...] = (120.0, 240.0, 480.0, 960.0, 1920.0)
    jitter: float = 0.1

    @property
    def max_tries(self) -> int:
        """The number of tries after which a job is dead."""
        return len(self.schedule_s) + 1

    def wait_s(self, tries: int, *, chance: float) -> float | None:
        """Return the seconds until the next try after `tries` tries; None = dead."""
        return None if tries >= self.max_tries else self.pause_s(tries, chance=chance)

    def pause_s(self, tries: int, *, chance: float) -> float:
        """
        Return the seconds until the next try of work that is never given up.

        Args:
            tries: Tries so far; beyond the schedule, its last wait is repeated.
            chance: A number in [0, 1) that picks the jitter.
        """
        base = self.schedule_s[min(max(tries, 1), len(self.schedule_s)) - 1]
        # Keeps many jobs from becoming due at the same moment.
        return base * (1 + self.jitter * (2 * chance - 1))

    def is_exhausted(self, tries: int) -> bool:
        """Tell whether a claimed job has no try left (it kept killing its workers)."""
        return tries > self.max_tries


def capped_retry_after(retry_after_s: float | None) -> float:
    """Return the seconds to snooze after a "slow down"."""
    if retry_after_s is None or math.isnan(retry_after_s):
        return THROTTLED_S
    return min(max(retry_after_s, 1.0), RETRY_AFTER_CAP_S)
