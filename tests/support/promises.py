# SPDX-License-Identifier: MIT
"""The promises P1 to P5, checked over store, provider, LMS and plugin jobs at rest."""

from __future__ import annotations

from collections import Counter

import attrs

from frappe_enroll_sdk.models import (
    JobState,
    LMSStatus,
    Override,
    SeatState,
    Status,
)
from frappe_enroll_sdk.services.settle.effects import plugin_job_key, sync_key
from frappe_enroll_sdk.states import ENTITLED, FINISHED, UNPAID
from support.probe import KIND


def check(world) -> None:
    """Check all of them."""
    rows = world.rows()
    _check_rows(rows)
    _check_coupons(world, rows)
    _check_payments(world, rows)
    _check_foreign(world, rows)
    _check_twice(world, rows)
    _check_words(world, rows)
    _check_lms(world, rows)
    _check_jobs(world, rows)


def _check_rows(rows) -> None:
    """P2: nothing is owed any more, and no fact was written twice."""
    for row in rows:
        assert not row.effects_owed, row.history
        assert row.due_at is None, row.history
        assert row.status not in UNPAID, row.history
        versions = [entry.version for entry in row.history]
        assert list(range(1, row.version + 1)) == versions
        facts = Counter(entry.fact for entry in row.history)
        for fact in ("opened", "paid", "refunded", "coupon_redeemed", "paid_late"):
            assert facts[fact] <= 1, row.history


def _check_coupons(world, rows) -> None:
    """P1: never more than allowed; what was given up is free again."""
    for coupon in world.storage.coupons.list(limit=1000).items:
        assert coupon.reserved + coupon.redeemed <= coupon.max_redemptions
        assert coupon.reserved == 0, "a seat is still held at rest"
        users = [row for row in rows if row.coupon_code == coupon.code]
        was_entitled = [
            row for row in users if any(e.status in ENTITLED for e in row.history)
        ]
        assert coupon.redeemed == len(was_entitled), (coupon, users)
        for row in was_entitled:
            seat = world.storage.coupons.find_seat(coupon.code, row.id)
            assert seat is not None
            assert seat.state is SeatState.REDEEMED


def _check_payments(world, rows) -> None:
    """P2 and P5: all money has its effect, and nobody is in without it."""
    by_session = {row.session_id: row for row in rows if row.session_id}
    refunded = Counter()
    for refund in (r for r in world.payments.refunds.values() if r.counts):
        refunded[refund.payment_id] += refund.amount.amount_minor
    for session in world.payments.sessions.values():
        row = by_session.get(session.id)
        if session.paid and session.id not in world.foreign:
            assert row is not None, "a paid session without its enrollment"
            back = refunded[session.payment_id] >= row.amount.amount_minor
            words, gone = {Status.ENROLLED}, {Status.REVOKED}
            # Nothing is on hold: no attempt ends while somebody may still pay for it.
            allowed = gone if back else words | (gone if row.override else set())
            while row.moved_to is not None:
                row = world.storage.enrollments.find(row.moved_to)
                allowed = gone if back else words
            if row.held_for == "paid_twice" and _others_entitled(row, rows):
                allowed = gone if back else {Status.ON_HOLD}
            if any(entry.fact == "session_gone" for entry in row.history):
                # By a word, or by time, it may have ended before somebody paid.
                allowed |= {Status.ON_HOLD}
            assert row.status in allowed, (row.status, row.history)
    for row in rows:
        if row.status in ENTITLED and row.amount:
            session = _paid_by(world, row)
            assert session.paid
            assert session.amount == row.amount == row.paid
            users = [r for r in rows if r.payment_id == row.payment_id]
            assert [r for r in users if r.status in ENTITLED] == [row]
        elif row.status in ENTITLED:
            assert row.coupon_code is not None, "in without payment or coupon"


def _others_entitled(row, rows) -> list:
    """Return the other rows that entitle the learner to the same course."""
    pair = row.email, row.course_id
    others = [r for r in rows if r.id != row.id and r.status in ENTITLED]
    return [r for r in others if (r.email, r.course_id) == pair]


def _check_twice(world, rows) -> None:
    """No second payment is silent: held, and alerted once with both ids."""
    if world.probe is None:
        return
    owed = [
        (row.held_for or "paid_twice", row.id, entry.detail["other"])
        for row in rows
        for entry in row.history
        if "other" in entry.detail
    ]
    told = [told for told in world.probe.alerts.values() if told[2] is not None]
    assert sorted(told) == sorted(owed)


def _check_foreign(world, rows) -> None:
    """P5: a payment that fits nothing is somebody's by a word, or waits for one."""
    waiting = {item.session_id for item in world.sdk().admin.quarantine().items}
    for name in world.foreign:
        payment_id = world.payments.sessions[name].payment_id
        users = [row for row in rows if row.payment_id == payment_id]
        assert len(users) + (name in waiting) == 1, (users, waiting)


def _paid_by(world, row):
    """Return the session of a row's payment: its own, or what an operator gave it."""
    if row.override is not Override.ACCEPTED:
        return world.payments.sessions[row.session_id]
    sessions = world.payments.sessions.values()
    (session,) = [s for s in sessions if s.payment_id == row.payment_id]
    return session


def _check_words(world, rows) -> None:
    """P5: each operator's word stands in the audit trail, once."""
    for row in rows:
        said = [e for e in row.history if e.fact.endswith("_by_operator")]
        trail = world.storage.audit.list(subject=row.id).items
        told = [(e.action, e.actor, e.reason) for e in reversed(trail)]
        assert told == [
            (
                entry.fact.removesuffix("_by_operator"),
                entry.detail["actor"],
                entry.detail["reason"],
            )
            for entry in said
        ]


def _check_lms(world, rows) -> None:
    """P3 and P4: each entitled pair has one row; a dead job says so and why."""
    wanted = Counter()
    for row in rows:
        wanted[row.learner, row.course_id] += row.status in ENTITLED
    dead = {job.key: job for job in world.storage.jobs.list(state=JobState.DEAD).items}
    for row in rows:
        job = dead.get(sync_key(row.email, row.course_id))
        if job is not None:
            assert job.errors[-1].cause
            assert row.lms_status is LMSStatus.DEAD or row.status not in ENTITLED
            continue
        pair = row.learner, row.course_id
        found = world.lms.rows_of(*pair)
        assert wanted[pair] <= 1
        assert len(found) == wanted[pair], (pair, found)
        if row.status in ENTITLED:
            assert row.status is Status.ENROLLED, row.history
            assert row.lms_enrollment_id == found[0].name
    pairs = {(row.learner, row.course_id) for row in world.lms.rows.values()}
    assert pairs <= wanted.keys(), "somebody is in the course without an enrollment"


def _check_jobs(world, rows) -> None:
    """P2 and P3: nothing waits any more; each change of status had its one job."""
    for store in (world.storage.jobs, world.storage.events):
        for job in store.list(limit=1000).items:
            assert job.state in FINISHED, job
    if world.probe is None:
        return
    owed = set()
    for row in rows:
        for before, entry in zip(row.history, row.history[1:], strict=False):
            if entry.status is not before.status:
                owed.add(_key_at(row, entry))
    found = world.storage.jobs.list(kind=KIND, limit=1000).items
    assert owed == {job.key for job in found}
    assert {job.seq for job in found} <= {1}, "a job was owed twice for one fact"
    assert owed == world.probe.keys, "a job that was owed has never run"


def _key_at(row, entry) -> str:
    """Return the key of the job that this entry of the history owes."""
    then = attrs.evolve(row, version=entry.version)
    return plugin_job_key(KIND, then, str(entry.status))
