# SPDX-License-Identifier: MIT
"""What a store keeps of grants, affiliates and their ledgers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ...errors import ValidationError
from ...interfaces import Storage
from ...models import (
    Affiliate,
    Grant,
    GrantStatus,
    LedgerRow,
    RowKind,
    Totals,
)
from .records import NOW, after


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


def affiliate(code: str = "ada", **fields: Any) -> Affiliate:
    """Return an affiliate."""
    given: dict[str, Any] = {
        "code": code,
        "email": f"{code}@example.com",
        "percent": Decimal("12.5"),
        "op_id": f"op-{code}-{fields}",
        "created_at": NOW,
    }
    return Affiliate(**given | fields)


def ledger_row(n: int = 1, **fields: Any) -> LedgerRow:
    """Return a row of the affiliate ada."""
    given: dict[str, Any] = {
        "affiliate": "ada",
        "n": n,
        "kind": RowKind.EARNED,
        "enrollment_id": f"enr_{n}",
        "version": 3,
        "currency": "usd",
        "held_minor": 490,
        "percent": Decimal("12.5"),
        "totals": (Totals(currency="usd", held_minor=490 * n, available_minor=-5),),
        "op_id": f"op-{n}-{fields}",
        "at": after(n),
    }
    return LedgerRow(**given | fields)


def approve_one(storage: Storage, number: int) -> bool:
    """Apply for the same learner and course, and approve it; True = ours stands."""
    mine = storage.grants.open(grant(number, email="ada@example.com"))
    op_id = f"racer-{number}"
    yes = attrs.evolve(mine, version=2, status=GrantStatus.APPROVED, op_id=op_id)
    return storage.grants.replace(yes)


def decide_version_two(storage: Storage, number: int) -> bool:
    """Approve or reject version 1; True = we did."""
    status = GrantStatus.APPROVED if number % 2 else GrantStatus.REJECTED
    decided = grant(1, version=2, status=status, op_id=f"racer-{number}")
    return storage.grants.replace(decided)


def append_next(storage: Storage, number: int) -> int:
    """Append one's own fact after whatever is the last row; return its place."""
    while True:
        last = storage.affiliates.last("ada")
        n = last.n + 1 if last else 1
        mine = ledger_row(n, enrollment_id=f"enr_{number}", op_id=f"racer-{number}")
        if storage.affiliates.append(mine) == mine:
            return n


def state_one_fact(storage: Storage, number: int) -> str:
    """Append the fact that all racers state; return whose row stands."""
    while True:
        last = storage.affiliates.last("ada")
        n = last.n + 1 if last else 1
        mine = ledger_row(n, enrollment_id="enr_1", op_id=f"racer-{number}")
        stands = storage.affiliates.append(mine)
        if stands is not None:
            return stands.op_id


class BusinessChecks:
    """Grants by compare-and-set; an affiliate's rows are one chain."""

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

    def test_affiliate_is_unique_by_code_and_address(self, storage: Storage):
        """Who stands in the way is answered."""
        ada = affiliate("ada")
        assert storage.affiliates.register(ada) == ada
        assert storage.affiliates.register(affiliate("ada", email="x@x.org")) == ada
        assert storage.affiliates.register(affiliate("bob", email=ada.email)) == ada
        assert storage.affiliates.find("ada") == ada
        assert storage.affiliates.find_by_email(ada.email) == ada
        assert storage.affiliates.find("bob") is None
        changed = attrs.evolve(ada, version=2, suspended=True, op_id="other")
        assert storage.affiliates.replace(changed)
        assert not storage.affiliates.replace(attrs.evolve(changed, op_id="third"))
        storage.affiliates.register(affiliate("bob"))
        first = storage.affiliates.list(limit=1)
        rest = storage.affiliates.list(limit=1, cursor=first.next_cursor)
        assert [one.code for one in (*first.items, *rest.items)] == ["ada", "bob"]
        assert rest.next_cursor is None

    def test_ledger_is_a_chain(self, storage: Storage):
        """A place is taken once, a fact is stated once."""
        storage.affiliates.register(affiliate("ada"))
        assert storage.affiliates.last("ada") is None
        first, second = ledger_row(1), ledger_row(2)
        assert storage.affiliates.append(first) == first
        assert storage.affiliates.append(ledger_row(1, enrollment_id="enr_x")) is None
        assert storage.affiliates.append(second) == second
        again = ledger_row(3, enrollment_id="enr_1")
        assert storage.affiliates.append(again) == first
        assert storage.affiliates.last("ada") == second
        assert storage.affiliates.rows_of("ada", "enr_1") == (first,)
        page = storage.affiliates.list_rows("ada", limit=1)
        rest = storage.affiliates.list_rows("ada", limit=5, cursor=page.next_cursor)
        assert (*page.items, *rest.items) == (first, second)
        assert rest.next_cursor is None

    def test_business_verbs_take_text_only(self, storage: Storage):
        """An operator in the place of a name reaches no query."""
        odd: Any = {"$gt": ""}
        verbs: tuple[Callable[[Any], Any], ...] = (
            storage.grants.find,
            storage.affiliates.find,
            storage.affiliates.find_by_email,
            storage.affiliates.last,
        )
        for verb in verbs:
            with pytest.raises(ValidationError):
                verb(odd)

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

    def test_race_for_the_end_of_a_chain_loses_no_row(
        self, storage: Storage, spread: Callable[..., list[Any]]
    ):
        """Every racer's row is in the chain, in a place of its own."""
        storage.affiliates.register(affiliate("ada"))
        places = spread(append_next, 12)
        assert sorted(places) == list(range(1, 13))
        chain = storage.affiliates.list_rows("ada").items
        assert [row.n for row in chain] == list(range(1, 13))
        assert {row.enrollment_id for row in chain} == {f"enr_{n}" for n in range(12)}

    def test_race_for_one_fact_states_it_once(
        self, storage: Storage, spread: Callable[..., list[Any]]
    ):
        """All racers are answered the one row that stands."""
        storage.affiliates.register(affiliate("ada"))
        assert len(set(spread(state_one_fact, 12))) == 1
        assert len(storage.affiliates.list_rows("ada").items) == 1
