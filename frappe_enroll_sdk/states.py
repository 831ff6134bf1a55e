# SPDX-License-Identifier: MIT
"""
The one table of an enrollment's transitions.

A row may always be written with its own status (another field changes). Paid never
goes back to pending; a late payment fact on an exit leads to ``on_hold`` only, and only
a full grant whose coupon turns out to be redeemed leads from an exit to ``confirmed``.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from .models import ENTITLED, JobState, Override, Status


__all__ = (
    "ENTITLED",
    "EXITS",
    "FINISHED",
    "STAYS",
    "TRANSITIONS",
    "UNPAID",
    "Stay",
    "is_allowed",
)


#: Statuses in which nothing has been paid or redeemed yet.
UNPAID = frozenset({Status.PENDING, Status.AWAITING_PAYMENT})
#: Final statuses without payment or entitlement.
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


@attrs.frozen(kw_only=True)
class Stay:
    """
    How a row leaves a status even if every other party keeps giving the same answer.

    Attributes:
        status: The status.
        case: Which case of the status, if it has several; else "".
        bounds: Names of the settings and policies whose seconds add up to the longest
            time in it; at the next look after that, the row leaves by itself. Empty =
            it waits for the other party or an operator, and an alert has said so.
        words: The operators' decisions that lead out of it; for an attempt whose
            provider fails, only after its session's end.
    """

    status: Status
    case: str = ""
    bounds: tuple[str, ...] = ()
    words: frozenset[Override]


#: Statuses that a row must leave; in all others it is at rest.
STAYS = (
    Stay(
        status=Status.PENDING,
        bounds=("grace_s",),
        words=frozenset({Override.REVOKED}),
    ),
    Stay(
        status=Status.AWAITING_PAYMENT,
        case="the provider fails",
        bounds=("session_ttl_s", "silent_s"),
        words=frozenset({Override.REVOKED}),
    ),
    Stay(
        status=Status.AWAITING_PAYMENT,
        case="the provider does not know the session",
        bounds=("session_ttl_s", "gone_margin_s"),
        words=frozenset({Override.REVOKED}),
    ),
    Stay(
        status=Status.AWAITING_PAYMENT,
        case="a delayed payment is under way",
        words=frozenset({Override.REVOKED}),
    ),
    Stay(status=Status.CONFIRMED, words=frozenset({Override.REVOKED})),
    Stay(
        status=Status.ON_HOLD,
        case="for an operator",
        words=frozenset({Override.ACCEPTED, Override.DISMISSED}),
    ),
    Stay(
        status=Status.ON_HOLD,
        case="by its money",
        words=frozenset({Override.REINSTATED, Override.REVOKED}),
    ),
)

#: Final states of a job or event; only `enqueue` and `retry` lead out of them.
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
