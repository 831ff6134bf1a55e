# SPDX-License-Identifier: MIT
"""For any history the ledger's last row is what a recomputation from scratch gives."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.rows import make_row

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import TransitionError
from frappe_enroll_sdk.models import HistoryEntry, RowKind, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.stores.ledger import add_up, level_of
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


CURRENCIES = ("usd", "jpy", "kwd")
PERCENT = Decimal("12.5")
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("pay"),
            st.integers(0, 5),
            st.integers(1, 10_000),
            st.integers(0, 100),
        ),
        st.tuples(
            st.just("refund"), st.integers(0, 5), st.integers(0, 120), st.booleans()
        ),
        st.tuples(
            st.sampled_from(["dispute", "reinstate", "again", "stale"]),
            st.integers(0, 5),
        ),
        st.tuples(st.just("payout"), st.sampled_from(CURRENCIES), st.integers(1, 3)),
        st.tuples(st.just("days"), st.integers(1, 40)),
    ),
    max_size=30,
)


class World:
    """An affiliate and six enrollments, two in each currency."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.storage = MemoryStorage(self.clock)
        self.sdk = EnrollSDK(
            Settings(public_url="http://127.0.0.1:5000"),
            storage=self.storage,
            payments=FakePayments(self.clock),
            lms=FakeLMS(),
            clock=self.clock,
            discover=False,
        )
        self.sdk.affiliates.register("bob@example.com", code="bob", percent=PERCENT)
        self.rows = {}
        self.old = {}

    def write(self, place, status, fact, **changes) -> None:
        """Give a row its next version, and let the ledger follow."""
        before = self.rows[place]
        version = before.version + 1
        entry = HistoryEntry(
            at=self.clock.now(), version=version, status=status, fact=fact, op_id="o"
        )
        history = (*before.history, entry)
        self.old[place] = before
        self.rows[place] = attrs.evolve(
            before, status=status, version=version, history=history, **changes
        )
        self.sdk._services.commissions.follow(self.rows[place])

    def act(self, name, *given) -> None:
        """Do one step of a history."""
        if name == "days":
            self.clock.advance(given[0] * 86_400)
            self.sdk.run_jobs()
        elif name == "payout":
            self.pay_out(*given)
        elif name == "pay":
            self.pay(*given)
        elif given[0] in self.rows:
            self.change(name, *given)

    def pay_out(self, currency, divisor) -> None:
        """Pay a part of what is there out; more than that is refused."""
        there = max(self.total(currency).available_minor, 0)
        order = ("bob", currency, "op", "due")
        with pytest.raises(TransitionError):
            self.sdk.affiliates.pay_out(*order, amount_minor=there + 1)
        if there:
            part = max(there // divisor, 1)
            self.sdk.affiliates.pay_out(*order, amount_minor=part)

    def pay(self, place, minor, tax_percent) -> None:
        """Confirm an enrollment that is not there yet."""
        if place in self.rows:
            return
        paid = Money(minor, CURRENCIES[place % 3])
        self.rows[place] = make_row(id=f"enr_{place}", affiliate="bob")
        tax = minor * tax_percent // 100
        self.write(place, Status.CONFIRMED, "paid", paid=paid, tax_minor=tax)

    def change(self, name, place, percent=0, whole=False) -> None:
        """Change an enrollment that was paid."""
        row = self.rows[place]
        if name == "refund":
            back = row.paid.amount_minor * percent // 100
            status = Status.REVOKED if whole else row.status
            self.write(place, status, "refunded", refunded_minor=back)
        elif name == "dispute":
            self.write(place, Status.REVOKED, "dispute_lost")
        elif name == "reinstate":
            self.write(place, Status.CONFIRMED, "reinstated")
        else:
            known = self.old.get(place) if name == "stale" else row
            self.sdk._services.commissions.follow(known or row)

    def total(self, currency):
        """Return what the last row says."""
        totals = {t.currency: t for t in self.sdk.affiliates.stats("bob")}
        last = self.storage.affiliates.last("bob")
        return totals.get(currency) or (last.totals_in(currency) if last else Zero)


class Zero:
    """No row yet."""

    available_minor = held_minor = paid_minor = 0


@given(steps)
def test_ledger_equals_recomputation(history):
    """Its sums are those of its rows, and each enrollment's is its level."""
    world = World()
    for step in history:
        world.act(*step)
    rows = list(world.sdk.affiliates._all_rows("bob"))
    assert [row.n for row in rows] == list(range(1, len(rows) + 1))
    assert world.sdk.affiliates.stats("bob") == add_up(rows)
    for currency in CURRENCIES:
        total = world.total(currency)
        owed = sum(
            level_of(row, PERCENT)
            for row in world.rows.values()
            if row.paid.currency == currency
        )
        paid = sum(
            r.paid_minor
            for r in rows
            if r.kind is RowKind.PAYOUT and r.currency == currency
        )
        assert total.paid_minor == paid
        assert total.held_minor >= 0
        assert total.held_minor + total.available_minor + paid == owed


def test_later_version_is_never_undone_by_an_earlier_one():
    """A process that stalls with a version in hand changes nothing afterwards."""
    world = World()
    world.act("pay", 0, 1000, 0)
    paid = world.rows[0]
    world.storage.affiliates = MemoryStorage(world.clock).affiliates
    world.sdk.affiliates.register("bob@example.com", code="bob", percent=PERCENT)
    world.act("dispute", 0)
    world.sdk._services.commissions.follow(paid)
    assert world.total("usd").held_minor == 0
