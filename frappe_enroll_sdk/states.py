# SPDX-License-Identifier: MIT
"""
The one table of an enrollment's transitions.

A row may always be written with its own status (another field changes). Paid never
goes back to pending; a late payment fact on an exit leads to ``on_hold`` only, and only
a full grant whose coupon turns out to be redeemed leads from an exit to ``confirmed``.
"""

from __future__ import annotations

from collections.abc import Mapping

from .models import JobState, Status


#: Statuses that take the slot of their learner and course.
LIVE = frozenset(
    {
        Status.PENDING,
        Status.AWAITING_PAYMENT,
        Status.CONFIRMED,
        Status.ENROLLED,
        Status.ON_HOLD,
    }
)
#: Statuses in which the learner has a right to the course.
ENTITLED = frozenset({Status.CONFIRMED, Status.ENROLLED})
#: Statuses in which nothing was paid or redeemed yet.
UNPAID = frozenset({Status.PENDING, Status.AWAITING_PAYMENT})
#: Ends without entitlement that nobody paid for.
EXITS = frozenset({Status.EXPIRED, Status.CANCELLED, Status.FAILED})

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(
        {Status.AWAITING_PAYMENT, Status.CONFIRMED, Status.ON_HOLD} | EXITS
    ),
    Status.AWAITING_PAYMENT: frozenset({Status.CONFIRMED, Status.ON_HOLD} | EXITS),
    Status.CONFIRMED: frozenset({Status.ENROLLED, Status.REVOKED, Status.ON_HOLD}),
    Status.ENROLLED: frozenset({Status.REVOKED, Status.ON_HOLD}),
    Status.REVOKED: frozenset({Status.CONFIRMED, Status.ON_HOLD}),
    Status.EXPIRED: frozenset({Status.CONFIRMED, Status.ON_HOLD}),
    Status.CANCELLED: frozenset({Status.CONFIRMED, Status.ON_HOLD}),
    Status.FAILED: frozenset({Status.CONFIRMED, Status.ON_HOLD}),
    Status.ON_HOLD: frozenset({Status.CONFIRMED, Status.REVOKED, Status.CANCELLED}),
}

#: Ends of a job or event; only `enqueue`, `retry` and `requeue` lead out of them.
FINISHED = frozenset(
    {
        JobState.DONE,
        JobState.DEAD,
        JobState.CANCELLED,
        JobState.QUARANTINED,
        JobState.IGNORED,
    }
)


def is_allowed(before: Status, after: Status) -> bool:
    """Tell whether the table allows this transition (or it keeps the status)."""
    return before is after or after in TRANSITIONS[before]
