# SPDX-License-Identifier: MIT
"""
Moments that a clock which ran ahead has written: pure.

A store's time may be wrong for a while (a bad time source, a host that took over). What
was written then lies too far ahead once it is right again, and must not hold anything
for longer than it would have, reckoned from now.
"""

from __future__ import annotations

from datetime import datetime, timedelta


#: By how much clocks that are right may differ. What lies further ahead than that was
#: written by one that was wrong.
SKEW = timedelta(seconds=60)


def is_ahead(moment: datetime, now: datetime) -> bool:
    """Tell whether a moment at which something is said to have happened is to come."""
    return moment - now > SKEW
