# SPDX-License-Identifier: MIT
"""Records for the storage suite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs

from ...models import Coupon, Enrollment, HistoryEntry, Kind, Status, TryError
from ...money import Money


#: The suite's "now"; stores do not read a clock of their own.
NOW = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """Return the moment this many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def coupon(code: str = "GRANT-1", **terms: Any) -> Coupon:
    """Return a coupon."""
    given: dict[str, Any] = {"percent_off": Decimal("33.5"), "created_at": NOW} | terms
    return Coupon(code=code, **given)


def entry(
    version: int, status: Status, fact: str = "test", **more: Any
) -> HistoryEntry:
    """Return a history entry."""
    given: dict[str, Any] = {"at": after(version), "op_id": f"op-{version}"} | more
    return HistoryEntry(version=version, status=status, fact=fact, **given)


def enrollment(number: int = 1, **fields: Any) -> Enrollment:
    """Return a pending enrollment; `number` sets its id, address and creation."""
    price = Money(4900, "usd")
    row = Enrollment(
        id=f"enr_{number:04d}",
        email=f"learner{number}@example.com",
        learner=f"learner{number}@example.com",
        course_id="python-101",
        kind=Kind.PAID,
        price=price,
        discount=Money.zero("usd"),
        amount=price,
        due_at=after(120),
        created_at=after(number),
        updated_at=after(number),
        history=(entry(1, Status.PENDING, "opened"),),
    )
    return attrs.evolve(row, **fields)


def try_error(number: int = 1, code: str = "lms_unavailable") -> TryError:
    """Return the outcome of a try."""
    return TryError(at=NOW, try_number=number, code=code, cause="down", worker="w")
