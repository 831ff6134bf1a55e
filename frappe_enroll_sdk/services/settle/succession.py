# SPDX-License-Identifier: MIT
"""
Who holds a course after reassignments: the one place that follows them.

A payment stays with the row that it was made for, and its right goes over to another
row, maybe more than once. Whatever is said of the payment later (a refund, a dispute, a
warning, an operator's search) is about the row at the end of that chain.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import ConflictError
from ...models import Enrollment, Fact, Status
from .effects import BY_OPERATOR


#: More hops than any course has had learners: something is wrong with the rows.
_MAX_HOPS = 1000
#: News of money that came earlier. What pays or ends a session is about its own row.
FOLLOWING = frozenset({Fact.REFUNDED, Fact.DISPUTED, Fact.FLAGGED, Fact.NOTED})


def heir_of(
    row: Enrollment,
    find: Callable[[str], Enrollment | None],
    passed_on: Callable[[str], Enrollment] | None = None,
) -> Enrollment:
    """
    Return the row that holds what this one has held: itself, or the chain's last.

    Args:
        row: Where to begin.
        find: Finds a row by its id.
        passed_on: Does what a row's last write still owes, and returns the row. Whoever
            wrote "reassigned" may have died before the next row had the payment: then
            the next row takes no news of it yet.

    Raises:
        ConflictError: The chain has no end.
    """
    seen = {row.id}
    for _ in range(_MAX_HOPS):
        if row.moved_to is None or row.moved_to in seen:
            return row
        if row.effects_owed and passed_on is not None:
            row = passed_on(row.id)
        following = find(row.moved_to or "")
        if following is None:
            return row
        seen.add(following.id)
        row = following
    raise ConflictError(f"{row.id}: reassigned more than {_MAX_HOPS} times")


def has_succeeded(row: Enrollment) -> bool:
    """
    Tell whether a reassignment's new row has taken its place, or was decided since.

    It begins without a word, and an operator's word is the last that succession writes.
    Money that went back meanwhile has decided, too: nothing is left to accept.
    """
    if row.status is Status.REVOKED and row.payment_id is not None:
        return True
    return any(entry.fact.endswith(BY_OPERATOR) for entry in row.history)
