# SPDX-License-Identifier: MIT
"""Pairs as a store of before the slot was unique had them, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from frappe_enroll_sdk.codec import dump
from frappe_enroll_sdk.models import Enrollment, Kind, LMSStatus, Override, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.operators.differences import Difference
from frappe_enroll_sdk.stores.enrollments import CODEC
from frappe_enroll_sdk.testing.conformance.records import after, enrollment, entry
from support.world import World


#: Fields that no record had then.
SINCE = ("opened_by", "refund_begun_at", "lms_left", "claims_slot")
NONE = Money.zero("usd")


def _row(number: int, whose: str, status: Status, *facts: str, **more: Any):
    """Return a row whose history has these facts, the last of them of `status`."""
    history = [entry(1, Status.PENDING, "opened")]
    for version, fact in enumerate(facts, 2):
        last = version == len(facts) + 1
        to = status if last or fact == "paid" else Status.PENDING
        history.append(entry(version, to, fact, at=after(number + 100 * version)))
    return enrollment(
        number,
        email=f"{whose}@example.com",
        learner=f"{whose}@example.com",
        status=status,
        version=len(history),
        history=tuple(history),
        **more,
    )


def _free(number: int, whose: str, status: Status, *facts: str, **more: Any):
    row = _row(number, whose, status, *facts, **more)
    terms = {"kind": Kind.FULL_GRANT, "discount": row.price, "amount": NONE}
    return attrs.evolve(row, coupon_code=f"FREE-{number}", **terms)


def _paid(number: int, whose: str, *facts: str, **more: Any):
    name = {"payment_id": f"pi_{number}", "paid": Money(4900, "usd")}
    return _row(number, whose, Status.ENROLLED, "paid", *facts, **name | more)


_AGAIN = {"override": Override.REINSTATED, "lms_status": LMSStatus.SYNCED}
_OURS = {"lms_enrollment_id": "row-8", "lms_row_ours": True}
_OPEN = Status.AWAITING_PAYMENT

#: Rows of one learner each stand apart: no page, and no batch, holds all of a pair.
ROWS: tuple[Enrollment, ...] = (
    _paid(1, "ours", "reinstated_by_operator", **_AGAIN),
    _free(2, "free", Status.ENROLLED, "coupon_redeemed"),
    _paid(13, "first", "reinstated_by_operator", **_AGAIN),
    _free(4, "cla.im+1", Status.PENDING, "reserved"),
    _free(5, "late", Status.PENDING, "reserved"),
    _row(6, "first", _OPEN, "session_created", session_id="cs_6"),
    attrs.evolve(
        _row(7, "heir", Status.PENDING),
        history=(entry(1, Status.PENDING, "opened", detail={"in_place_of": "enr_1"}),),
    ),
    _paid(18, "ours", "reinstated_by_operator", **_AGAIN, **_OURS),
    _row(19, "first", Status.PENDING, idempotency_key="key-19"),
    _paid(12, "first"),
    _paid(11, "free"),
    _row(14, "cla.im+1", _OPEN, "session_created", session_id="cs_14"),
    _paid(15, "late"),
    _row(16, "first", Status.EXPIRED, "expired"),
    _row(17, "held", Status.ON_HOLD, "paid_mismatch", held_for="amount_mismatch"),
)

#: Who is held beside whom, and why.
HELD = {
    "enr_0001": ("enr_0018", "paid_twice"),
    "enr_0002": ("enr_0011", "already_enrolled"),
    "enr_0013": ("enr_0012", "paid_twice"),
}
#: Who takes the slot: by entitlement; and by a claim.
ENTITLES = {"enr_0011", "enr_0012", "enr_0015", "enr_0018"}
CLAIMS = {"enr_0004", "enr_0007"}


def documents(rows: tuple[Enrollment, ...] = ROWS) -> Iterator[dict[str, Any]]:
    """Yield the rows as plain data of that time; the first of a pair had the slot."""
    seen = set()
    for row in rows:
        pair = row.email, row.course_id
        data = {k: v for k, v in dump(row).items() if k not in SINCE}
        for name in ("price", "discount", "amount", "paid"):
            (data[name] or {}).pop("exponent", None)
        lives = row.status not in {Status.EXPIRED, Status.REVOKED}
        yield {**data, "holds_slot": lives and pair not in seen}
        seen |= {pair} if lives else set()


def check(storage: Any) -> None:
    """Check what has become of all of them."""
    found = {row.id: row for row in storage.enrollments.list(limit=99).items}
    for was in ROWS:
        row = found[was.id]
        if row.id not in HELD:
            assert row == attrs.evolve(was, claims_slot=row.id in CLAIMS)
            continue
        other, why = HELD[row.id]
        same = ("status", "version", "held_for", "reason", "lms_status", "history")
        kept = {name: getattr(was, name) for name in (*same, "updated_at", "due_at")}
        kept |= {"tries": was.tries, "effects_owed": was.effects_owed}
        assert attrs.evolve(row, **kept) == was
        assert (row.status, row.held_for, row.reason) == (Status.ON_HOLD, why, why)
        assert (row.version, row.tries) == (was.version + 1, 0)
        assert row.effects_owed
        assert row.due_at == row.updated_at == row.history[-1].at
        assert row.history[:-1] == was.history
        assert row.history[-1].detail == {"other": other}
    assert {row.id for row in found.values() if row.holds_slot} == ENTITLES | CLAIMS
    _check_cells(storage.enrollments)
    _check_indexes(storage.enrollments)


def _check_cells(store: Any) -> None:
    """Each row is what this code would have written."""
    for was in ROWS:
        row = store._records.rows.one(was.id)
        wanted = CODEC.cells_of(CODEC.record_of(row))
        assert {n: c for n, c in row.cells.items() if c is not None} == {
            n: c for n, c in wanted.items() if c is not None
        }


def _check_indexes(store: Any) -> None:
    """Each derived cell is what its index finds."""
    course = ROWS[0].course_id

    def names(rows: Any) -> list[str]:
        return sorted(row.id for row in rows)

    for email in {row.email for row in ROWS}:
        mine = [row for row in ROWS if row.email == email]
        slot = [r.id for r in mine if r.id in ENTITLES | CLAIMS]
        holder = store.find_holder(email, course)
        assert names([holder] if holder else []) == slot
        unpaid = [r for r in mine if r.status in {Status.PENDING, _OPEN}]
        assert names(store.list_unpaid(email, course)) == names(unpaid)
        assert store.list_unpaid(email, course, vouched=True) == ()
        aside = [r for r in mine if r.id in HELD or r.status is Status.ON_HOLD]
        assert names(store.list_set_aside(email, course)) == names(aside)
        follows = {r.id for r in mine if r.id in ENTITLES or r.lms_enrollment_id}
        assert {*names(store.list_for_sync(email, course))} == follows
    # By any spelling of the mailbox.
    spelled = store.list(coupon_code="FREE-4", mailbox="claim@example.com").items
    assert names(spelled) == ["enr_0004"]


def check_told(storage: Any) -> None:
    """Let workers go on: who is held is alerted and named, and no money goes back."""
    # (What is owed since the upgrade is due by the database's own time.)
    world = World(lambda: storage, probed=True, paid_twice="refund")
    world.clock.advance((storage.now() - world.clock.now()).total_seconds() + 1)
    sdk = world.sdk()
    for _ in range(5):
        sdk.run_jobs(limit=100)
        world.clock.advance(130)
    told = {(why, name, other) for name, (other, why) in HELD.items()}
    assert told <= {*world.probe.alerts.values()}
    named = {
        one.subject: one.cause
        for report in sdk.admin.reconcile_all(actor="ada", reason="upgrade")
        for one in report.findings
        if one.difference is Difference.PAID_TWICE
    }
    assert named.keys() == HELD.keys()
    for name, (other, why) in HELD.items():
        assert other in named[name]
        row = storage.enrollments.find(name)
        assert (row.status, row.held_for) == (Status.ON_HOLD, why)
    assert world.payments.refunds == {}
