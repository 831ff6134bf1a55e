# SPDX-License-Identifier: MIT
"""What a store keeps of affiliates and their ledgers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ...errors import ValidationError
from ...interfaces import Storage
from ...models import Affiliate, LedgerRow, RowKind, Totals
from .records import NOW, after


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


def append_next(storage: Storage, number: int) -> int:
    """Append the caller's own fact after the last row; return its place."""
    while True:
        last = storage.affiliates.last("ada")
        n = last.n + 1 if last else 1
        mine = ledger_row(n, enrollment_id=f"enr_{number}", op_id=f"racer-{number}")
        if storage.affiliates.append(mine) == mine:
            return n


def state_one_fact(storage: Storage, number: int) -> str:
    """Append the fact that all racers record; return whose row was stored."""
    while True:
        last = storage.affiliates.last("ada")
        n = last.n + 1 if last else 1
        mine = ledger_row(n, enrollment_id="enr_1", op_id=f"racer-{number}")
        stands = storage.affiliates.append(mine)
        if stands is not None:
            return stands.op_id


class AffiliateChecks:
    """An affiliate's rows are one chain."""

    def test_affiliate_is_unique_by_code_and_address(self, storage: Storage):
        """The conflicting affiliate is returned."""
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
        """A place is taken once, a fact is recorded once."""
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

    def test_affiliate_verbs_take_text_only(self, storage: Storage):
        """A query operator in place of a name reaches no query."""
        odd: Any = {"$gt": ""}
        verbs: tuple[Callable[[Any], Any], ...] = (
            storage.affiliates.find,
            storage.affiliates.find_by_email,
            storage.affiliates.last,
        )
        for verb in verbs:
            with pytest.raises(ValidationError):
                verb(odd)

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
        """All racers get the one stored row."""
        storage.affiliates.register(affiliate("ada"))
        assert len(set(spread(state_one_fact, 12))) == 1
        assert len(storage.affiliates.list_rows("ada").items) == 1
