# SPDX-License-Identifier: MIT
"""What a store keeps of grants."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ...errors import ValidationError
from ...interfaces import Storage
from ...models import Grant, GrantStatus
from .records import after


def grant(number: int = 1, **fields: Any) -> Grant:
    """Return a pending grant of a learner of its own."""
    given: dict[str, Any] = {
        "id": f"grt_{number}",
        "email": f"learner{number}@example.com",
        "course_id": "python-101",
        "answers": {"why": "$set", "a.b": [1, None]},
        "op_id": f"op-{number}",
        "created_at": after(number),
        "updated_at": after(number),
    }
    return Grant(**given | fields)


def approve_one(storage: Storage, number: int) -> bool:
    """Apply for the same learner and course, and approve it; True = ours was stored."""
    mine = storage.grants.open(grant(number, email="ada@example.com"))
    op_id = f"racer-{number}"
    yes = attrs.evolve(mine, version=2, status=GrantStatus.APPROVED, op_id=op_id)
    return storage.grants.replace(yes)


def decide_version_two(storage: Storage, number: int) -> bool:
    """Approve or reject version 1; True = we did."""
    status = GrantStatus.APPROVED if number % 2 else GrantStatus.REJECTED
    decided = grant(1, version=2, status=status, op_id=f"racer-{number}")
    return storage.grants.replace(decided)


class GrantChecks:
    """Grants by compare-and-set."""

    def test_grant_comes_back_as_written(self, storage: Storage):
        """Every field survives, form fields with odd names too."""
        mine = grant(
            full_name="Ada",
            code="GRANT-1",
            percent_off=Decimal("99.9"),
            expires_at=after(9),
            actor="op",
            reason="good",
        )
        assert storage.grants.open(mine) == mine
        assert storage.grants.find("grt_1") == mine
        assert storage.grants.find("grt_2") is None

    def test_one_grant_is_approved_per_learner_and_course(self, storage: Storage):
        """Any number wait; approving a second one is refused until the first is not."""
        first = storage.grants.open(grant(1))
        second = storage.grants.open(grant(2, email=first.email))
        assert storage.grants.find("grt_2") == second
        yes = attrs.evolve(first, version=2, status=GrantStatus.APPROVED, op_id="a")
        assert storage.grants.replace(yes)
        other = attrs.evolve(second, version=2, status=GrantStatus.APPROVED, op_id="b")
        assert not storage.grants.replace(other)
        assert storage.grants.find("grt_2") == second
        no = attrs.evolve(yes, version=3, status=GrantStatus.REJECTED, op_id="c")
        assert storage.grants.replace(no)
        assert storage.grants.replace(other)

    def test_grant_is_replaced_where_its_version_stands(self, storage: Storage):
        """A decision on an older version is refused."""
        first = storage.grants.open(grant(1))
        assert storage.grants.replace(attrs.evolve(first, version=2, op_id="a"))
        assert not storage.grants.replace(attrs.evolve(first, version=2, op_id="b"))
        assert not storage.grants.replace(grant(9, version=2))

    def test_grants_are_listed_newest_first(self, storage: Storage):
        """Filters and cursors give each grant once."""
        for number in range(5):
            storage.grants.open(grant(number))
        first = storage.grants.list(limit=3)
        rest = storage.grants.list(limit=3, cursor=first.next_cursor)
        ids = [one.id for one in (*first.items, *rest.items)]
        assert ids == [f"grt_{number}" for number in (4, 3, 2, 1, 0)]
        assert rest.next_cursor is None
        own = storage.grants.list(email="learner1@example.com")
        assert [one.id for one in own.items] == ["grt_1"]
        assert not storage.grants.list(status=GrantStatus.APPROVED).items
        assert len(storage.grants.list(course_id="python-101").items) == 5

    def test_grant_verbs_take_text_only(self, storage: Storage):
        """A query operator in place of a name reaches no query."""
        odd: Any = {"$gt": ""}
        with pytest.raises(ValidationError):
            storage.grants.find(odd)

    def test_race_of_approvals_has_one_winner(
        self, storage: Storage, spread: Callable[..., list[Any]]
    ):
        """Any number of applications at once: all are kept, one is approved."""
        assert spread(approve_one, 12).count(True) == 1
        assert len(storage.grants.list().items) == 12
        assert len(storage.grants.list(status=GrantStatus.APPROVED).items) == 1

    def test_race_of_approval_and_rejection_has_one_outcome(
        self, storage: Storage, spread: Callable[..., list[Any]]
    ):
        """Of all decisions on one version one is written."""
        storage.grants.open(grant(1))
        assert spread(decide_version_two, 12).count(True) == 1
        decided = storage.grants.find("grt_1")
        assert decided is not None
        assert decided.version == 2
