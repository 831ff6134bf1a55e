# SPDX-License-Identifier: MIT
"""
A shop's life, and what it leaves: for an upgrade that has to bring all of it along.

``mongo_v3.json`` holds the documents that the code of schema 3 left of this life.
"""

from __future__ import annotations

import attrs

from frappe_enroll_sdk.models import (
    AuditEntry,
    DisputeStatus,
    GatePolicy,
    GrantStatus,
    JobState,
    LMSStatus,
    Override,
    Status,
    WorkerSeen,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.conformance.records import (
    NOW,
    after,
    coupon,
    enrollment,
    entry,
    try_error,
)
from frappe_enroll_sdk.testing.conformance.storage_affiliates import (
    affiliate,
    ledger_row,
)
from frappe_enroll_sdk.testing.conformance.storage_grants import grant


#: Every field of an enrollment that may be empty.
_FULL = {
    "full_name": "Ada ü",
    "coupon_code": "MANY",
    "is_limited": False,
    "affiliate": "ada",
    "success_url": "https://shop.test/?a=$b.c",
    "cancel_url": "https://shop.test/no",
    "token_hash": "hash",
    "terms": "terms",
    "session_request": {"line_items": [{"$set": "a.b", "n": 1}], "b": None},
    "session_try": 3,
    "session_id": "cs_full",
    "payment_url": "https://pay.test/cs_full",
    "session_expires_at": after(1800),
    "session_account": "acct",
    "session_livemode": False,
    "gone_at": after(7),
    "seat_lapsed": True,
    "payment_id": "pi_full",
    "lms_status": LMSStatus.DEAD,
    "lms_enrollment_id": "row-1",
    "lms_row_ours": True,
    "lms_progress": 12.5,
    "override": next(iter(Override)),
    "reason": "disputed",
    "held_for": "paid_twice",
    "tax_behavior": "exclusive",
    "paid": Money(5831, "usd"),
    "tax_minor": 931,
    "refunded_minor": 2**40,
    "dispute": next(iter(DisputeStatus)),
    "moved_to": "enr_0009",
    "effects_owed": True,
    "tries": 2,
}


def _token(store, key) -> str:
    """Return the token of a claim of this job (a new one, or the one that runs)."""
    return (store.claim_key(key, "w", NOW, 60) or store.find(key)).token


def _begin(storage) -> None:
    for code in ("GRANT-1", "FULL"):
        storage.coupons.create(coupon(code))
    storage.coupons.reserve("FULL", "enr_0009", NOW, after(10))
    storage.enrollments.open(enrollment(1, idempotency_key="key-1"))
    for store in (storage.jobs, storage.events):
        for key in ("due", "running", "dead", "done"):
            store.enqueue(key, "sync", {"type": "t"}, NOW, now=NOW)
        _token(store, "running")
        store.bury(_token(store, "dead"), 1, NOW, try_error())
        store.complete(_token(store, "done"), 1, NOW)
    storage.audit.append(
        AuditEntry(id="a-1", at=NOW, actor="a", action="b", subject="s")
    )
    seen = WorkerSeen(name="w-1", kind="worker", started_at=NOW, seen_at=NOW)
    storage.workers.seen(seen)
    storage.gates.hold("lms", "h-1", 2, NOW, after(60))
    storage.grants.open(grant(1))
    storage.affiliates.register(affiliate("ada"))
    storage.affiliates.append(ledger_row(1))


def live(storage) -> None:
    """Let every sort of row come to be in an empty store."""
    storage.setup()
    _begin(storage)
    coupons, jobs, rows = storage.coupons, storage.jobs, storage.enrollments
    terms = {"course_id": "python-101", "email": "ada@example.com", "per_learner": 2}
    window = {"starts_at": after(-60), "expires_at": after(10**6)}
    coupons.create(coupon("MANY", max_redemptions=5, **terms, **window))
    coupons.create(coupon("OVER", disabled=True))
    for number in range(5):
        coupons.reserve("MANY", f"enr_{number}", after(number), after(900 + number))
    coupons.bind("MANY", "enr_1")
    coupons.redeem("MANY", "enr_2")
    coupons.release("MANY", "enr_3")
    rows.open(enrollment(3, **_FULL))
    moves = ((Status.CONFIRMED, {"lms_progress": 0.5}), (Status.ENROLLED, {}))
    for version, (status, changes) in enumerate(moves, 1):
        change = entry(version + 1, status, detail={"a.b": ["$c", None]})
        assert rows.transition("enr_0003", version, status, change, after(9), changes)
    rows.open(enrollment(4))
    rows.transition("enr_0004", 1, Status.EXPIRED, entry(2, Status.EXPIRED), None, {})
    jobs.enqueue("known", "sync", {"n": 1}, NOW, now=NOW, data={"made": ["r1", "r0"]})
    jobs.reschedule(_token(jobs, "known"), after(50), after(2), error=try_error())
    jobs.enqueue("lapsed", "mail", {"to": "ü"}, after(-90), now=NOW)
    jobs.claim_key("lapsed", "w", after(-80), 60)
    for number in range(30):
        jobs.enqueue(f"many-{number:02d}", "mail", {}, after(number), now=NOW)
    storage.events.record("evt_1", {"type": "t", "object_id": "o"}, now=NOW)
    storage.events.record("evt_2", {}, now=NOW, state=JobState.IGNORED, outcome="old")
    storage.gates.report("lms", ok=False, now=NOW, policy=GatePolicy())
    storage.gates.admit("mail", 3, NOW, GatePolicy(rate_per_s=2))
    storage.audit.append(
        AuditEntry(id="a-9", at=after(9), actor="a", action="b", subject="s", detail={})
    )
    approved = {"status": GrantStatus.APPROVED, "code": "MANY", "actor": "ada"}
    storage.grants.replace(grant(1, version=2, expires_at=after(99), **approved))
    storage.grants.open(grant(2, status=GrantStatus.REJECTED))
    storage.affiliates.register(affiliate("bob", full_name="Bob", suspended=True))
    storage.affiliates.append(ledger_row(2, matures_at=after(1000), currency="eur"))


def everything(storage) -> dict[str, list]:
    """Return all that the store tells of itself, but for tokens."""

    def told(job):
        return attrs.evolve(job, token=job.token and "…")

    lists = {
        "coupons": storage.coupons.list(limit=99).items,
        "enrollments": storage.enrollments.list(limit=99).items,
        "audit": storage.audit.list(limit=99).items,
        "workers": storage.workers.list(limit=99),
        "grants": storage.grants.list(limit=99).items,
        "affiliates": storage.affiliates.list(limit=99).items,
        "ledger": storage.affiliates.list_rows("ada", limit=99).items,
        "jobs": map(told, storage.jobs.list(limit=99).items),
        "events": map(told, storage.events.list(limit=99).items),
        "seats": [
            storage.coupons.find_seat(code, f"enr_{number}")
            for code in ("MANY", "FULL")
            for number in (0, 1, 2, 3, 4, "0009")
        ],
        "stats": [
            storage.jobs.stats(after(100)),
            storage.events.stats(after(100)),
            storage.enrollments.stats(after(100)),
        ],
        "of_lists": [
            *storage.enrollments.list_for_sync("learner3@example.com", "python-101"),
            storage.enrollments.find_holder("learner3@example.com", "python-101"),
            storage.enrollments.find_holder("learner4@example.com", "python-101"),
            storage.enrollments.find_by_session("cs_full"),
            storage.enrollments.find_by_payment("pi_full"),
            storage.enrollments.find_by_idempotency_key("key-1"),
            storage.affiliates.find_by_email("bob@example.com"),
            storage.affiliates.last("ada"),
        ],
    }
    return {name: [*found] for name, found in lists.items()}


def go_on(storage) -> dict[str, list]:
    """Let the shop's life go on; return what came of it, and all that is then told."""
    policy = GatePolicy(rate_per_s=2)
    claimed = storage.jobs.claim("w", after(5), 60, 99)
    done = [storage.jobs.complete(job.token, job.seq, after(6)) for job in claimed]
    change = entry(4, Status.REVOKED)
    answers = [
        [(job.key, job.recovered, job.tries) for job in claimed],
        done,
        storage.coupons.reserve("MANY", "enr_9", after(20), after(999)),
        storage.coupons.reserve("MANY", "enr_8", after(20), after(999)),
        storage.coupons.reserve("MANY", "enr_7", after(10**4), after(10**5)),
        storage.coupons.release("MANY", "enr_2"),
        storage.coupons.redeem("FULL", "enr_0009"),
        storage.enrollments.transition(
            "enr_0003", 3, Status.REVOKED, change, None, {"reason": "r"}
        ),
        storage.enrollments.open(enrollment(5, email="learner3@example.com")).opened,
        storage.enrollments.open(enrollment(6, idempotency_key="key-1")).opened,
        storage.enrollments.claim_due(after(200), 60, 10),
        storage.events.record("evt_1", {}, now=after(3)).new,
        storage.gates.admit("lms", 1, after(1), policy),
        storage.gates.admit("mail", 9, after(1), policy),
        storage.gates.hold("lms", "h-2", 1, after(1), after(90)),
        storage.grants.open(grant(7, email="learner1@example.com")).id,
        storage.affiliates.append(ledger_row(3, enrollment_id="enr_1")),
        storage.affiliates.append(ledger_row(3)),
        storage.jobs.prune(after(5), 99),
    ]
    return {"answers": answers} | everything(storage)
