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
#: Wait after a "slow down" that names no time, in seconds.
THROTTLED_S = 60.0


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """
    The schedule of a job that fails for its own cause.

    Attributes:
        schedule_s: Seconds before the second, third, … try.
        jitter: Share by which each wait is stretched or shortened at random.
    """

    schedule_s: tuple[float, ...] = (120.0, 240.0, 480.0, 960.0, 1920.0)
    jitter: float = 0.1

    @property
    def max_tries(self) -> int:
        """Tries after which a job is dead."""
        return len(self.schedule_s) + 1

    def wait_s(self, tries: int, *, chance: float) -> float | None:
        """Return seconds until the next try after `tries` tries, or None = dead."""
        return None if tries >= self.max_tries else self.pause_s(tries, chance=chance)

    def pause_s(self, tries: int, *, chance: float) -> float:
        """
        Return seconds until the next try of what is never given up.

        Args:
            tries: Tries made; beyond the schedule its last wait is repeated.
            chance: A number in [0, 1) that stands for the jitter's throw.
        """
        base = self.schedule_s[min(max(tries, 1), len(self.schedule_s)) - 1]
        # It keeps many jobs from returning at one moment.
        return base * (1 + self.jitter * (2 * chance - 1))

    def is_exhausted(self, tries: int) -> bool:
        """Tell whether a claimed job has no try left (it kept killing its workers)."""
        return tries > self.max_tries


def capped_retry_after(retry_after_s: float | None) -> float:
    """Return the seconds to snooze after a "slow down"."""
    if retry_after_s is None or math.isnan(retry_after_s):
        return THROTTLED_S
    return min(max(retry_after_s, 1.0), RETRY_AFTER_CAP_S)
