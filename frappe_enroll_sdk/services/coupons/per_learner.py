# SPDX-License-Identifier: MIT
"""How many seats of one code a learner has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from ...interfaces import Storage
    from ...models import Coupon

_PAGE = 200


def has_enough(storage: Storage, email: str, code: str, *, but: str = "") -> bool:
    """
    Tell whether a learner has all the seats that the code gives to one person.

    Exact where the asker took its own seat before: whoever asks second sees the first
    one's seat. (Two that ask at once may both be told yes; never both no.)

    Args:
        storage: The store.
        email: The learner's address, normalised.
        code: The coupon's code.
        but: An enrollment whose seat does not count: the asker's own.
    """
    coupon = storage.coupons.find(code, counted=False)
    if coupon is None or coupon.per_learner is None:
        return False
    taken = 0
    for enrollment_id in _attempts(storage, email, coupon):
        if enrollment_id != but and storage.coupons.find_seat(code, enrollment_id):
            taken += 1
            if taken >= coupon.per_learner:
                return True
    return False


def _attempts(storage: Storage, email: str, coupon: Coupon) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = storage.enrollments.list(
            email=email, coupon_code=coupon.code, limit=_PAGE, cursor=cursor
        )
        yield from (row.id for row in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return
