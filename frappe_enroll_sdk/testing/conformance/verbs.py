# SPDX-License-Identifier: MIT
"""One call of every verb of every small store, on a store with something in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...interfaces import Storage
from ...models import (
    AuditEntry,
    GatePolicy,
    GrantStatus,
    JobEnd,
    JobState,
    LMSStatus,
    NewJob,
    Status,
    WorkerSeen,
)
from .records import NOW, after, coupon, enrollment, entry, try_error
from .storage_affiliates import affiliate, ledger_row
from .storage_grants import grant


Verb = Callable[[Storage], Any]
Verbs = dict[str, Verb]


def fill(storage: Storage) -> None:
    """Put a row of each kind into an empty store; the verbs use its keys."""
    storage.setup()
    for code in ("GRANT-1", "FULL"):
        storage.coupons.create(coupon(code))
    storage.coupons.create(coupon("MANY", max_redemptions=200))
    storage.coupons.reserve("FULL", "enr_0009", NOW, after(10))
    storage.enrollments.open(enrollment(1, idempotency_key="key-1"))
    for store in (storage.jobs, storage.events):
        for key in ("due", "running", "dead", "done"):
            store.enqueue(key, "sync", {"type": "t"}, NOW, now=NOW)
    for store in (storage.jobs, storage.events):
        token(store, "running")
        store.bury(token(store, "dead"), 1, NOW, try_error())
        store.complete(token(store, "done"), 1, NOW)
    storage.audit.append(_audit("a-1"))
    storage.workers.seen(_worker("w-1"))
    storage.gates.hold("lms", "h-1", 2, NOW, after(60))
    storage.grants.open(grant(1))
    storage.affiliates.register(affiliate("ada"))
    storage.affiliates.append(ledger_row(1))


def token(store: Any, key: str) -> str:
    """Return the token of a claim of this job (a new one, or the one that runs)."""
    job = store.claim_key(key, "w", NOW, 60) or store.find(key)
    return str(job.token)


def _audit(name: str) -> AuditEntry:
    return AuditEntry(id=name, at=NOW, actor="a", action="b", subject="s")


def _worker(name: str) -> WorkerSeen:
    return WorkerSeen(name=name, kind="worker", started_at=NOW, seen_at=NOW)


def _ends(store: Any) -> list[JobEnd]:
    """Return the end of the running claim, and one of a claim that is lost."""
    return [JobEnd(token=t, seq=1) for t in (store.find("running").token, "lost")]


def _orders() -> list[NewJob]:
    """Return a job for a known key and two for new ones."""
    keys = ("done", "new-1", "new-2")
    return [NewJob(key=key, kind="k", payload={"n": 2}, due_at=NOW) for key in keys]


def _queue_verbs(name: str) -> Verbs:
    def verb(call: Callable[[Any], Any]) -> Verb:
        return lambda storage: call(getattr(storage, name))

    return {
        f"{name}.enqueue": verb(lambda s: s.enqueue("new", "k", {}, NOW, now=NOW)),
        f"{name}.enqueue_known": verb(
            lambda s: s.enqueue("done", "k", {"n": 2}, NOW, now=NOW)
        ),
        f"{name}.enqueue_many": verb(lambda s: s.enqueue_many(_orders(), now=NOW)),
        f"{name}.claim": verb(lambda s: s.claim("w", after(100), 60, 10)),
        f"{name}.claim_kinds": verb(
            lambda s: s.claim("w", after(100), 60, 10, kinds={"sync"})
        ),
        f"{name}.claim_not_kinds": verb(
            lambda s: s.claim("w", after(100), 60, 10, not_kinds={"mail"})
        ),
        f"{name}.claim_key": verb(lambda s: s.claim_key("due", "w", NOW, 60)),
        f"{name}.heartbeat": verb(
            lambda s: s.heartbeat(
                s.find("running").token, after(1), 60, data={"a": ["1"]}
            )
        ),
        f"{name}.heartbeat_many": verb(
            lambda s: s.heartbeat_many(
                [s.find("running").token, "lost"], after(100), 60
            )
        ),
        f"{name}.complete_many": verb(lambda s: s.complete_many(_ends(s), after(1))),
        f"{name}.complete": verb(
            lambda s: s.complete(s.find("running").token, 1, after(1))
        ),
        f"{name}.reschedule": verb(
            lambda s: s.reschedule(s.find("running").token, after(120), after(1))
        ),
        f"{name}.bury": verb(
            lambda s: s.bury(s.find("running").token, 1, after(1), try_error())
        ),
        f"{name}.release": verb(lambda s: s.release(s.find("running").token, after(1))),
        f"{name}.retry": verb(lambda s: s.retry("dead", after(1))),
        f"{name}.bury_due": verb(lambda s: s.bury_due("due", after(1), try_error())),
        f"{name}.bound_ahead": verb(lambda s: s.bound_ahead(after(-100), 10)),
        f"{name}.empty": verb(lambda s: s.empty("done")),
        f"{name}.find": verb(lambda s: s.find("due")),
        f"{name}.list": verb(lambda s: s.list()),
        f"{name}.list_state": verb(lambda s: s.list(state=JobState.DEAD)),
        f"{name}.list_kind": verb(lambda s: s.list(kind="sync")),
        f"{name}.stats": verb(lambda s: s.stats(after(100))),
        f"{name}.stats_bare": verb(lambda s: s.stats(after(100), counted=False)),
        f"{name}.prune": verb(lambda s: s.prune(after(10), 10)),
    }


def _coupon_verbs() -> Verbs:
    return {
        "coupons.create": lambda s: s.coupons.create(coupon("NEW")),
        "coupons.create_many": lambda s: s.coupons.create_many(
            [coupon("NEW-1"), coupon("GRANT-1"), coupon("NEW-2")]
        ),
        "coupons.find": lambda s: s.coupons.find("GRANT-1"),
        "coupons.list": lambda s: s.coupons.list(),
        "coupons.list_course": lambda s: s.coupons.list(course_id="python-101"),
        "coupons.list_email": lambda s: s.coupons.list(email="ada@example.com"),
        "coupons.list_prefix": lambda s: s.coupons.list(prefix="GRANT-"),
        "coupons.readdress": lambda s: s.coupons.readdress("GRANT-1", "e@example.com"),
        "coupons.disable": lambda s: s.coupons.disable("GRANT-1"),
        "coupons.reserve": lambda s: s.coupons.reserve(
            "GRANT-1", "enr_0001", NOW, after(900)
        ),
        "coupons.reserve_many": lambda s: s.coupons.reserve(
            "MANY", "enr_0001", NOW, after(900)
        ),
        "coupons.reserve_lapsed": lambda s: s.coupons.reserve(
            "FULL", "enr_0001", after(20), after(900)
        ),
        "coupons.reserve_full": lambda s: s.coupons.reserve(
            "FULL", "enr_0001", NOW, after(900)
        ),
        "coupons.bind": lambda s: s.coupons.bind("FULL", "enr_0009"),
        "coupons.redeem": lambda s: s.coupons.redeem("FULL", "enr_0009"),
        "coupons.release": lambda s: s.coupons.release("FULL", "enr_0009"),
        "coupons.find_seat": lambda s: s.coupons.find_seat("FULL", "enr_0009"),
    }


def _enrollment_verbs() -> Verbs:
    row = enrollment(1)
    store = "enrollments"
    return {
        f"{store}.open": lambda s: s.enrollments.open(enrollment(2)),
        f"{store}.find": lambda s: s.enrollments.find(row.id),
        f"{store}.find_by_session": lambda s: s.enrollments.find_by_session("cs_1"),
        f"{store}.find_by_payment": lambda s: s.enrollments.find_by_payment("pi_1"),
        f"{store}.find_by_idempotency_key": (
            lambda s: s.enrollments.find_by_idempotency_key("key-1")
        ),
        f"{store}.find_holder": lambda s: s.enrollments.find_holder(
            row.email, row.course_id
        ),
        f"{store}.list_unpaid": lambda s: s.enrollments.list_unpaid(
            row.email, row.course_id
        ),
        f"{store}.list_vouched": lambda s: s.enrollments.list_unpaid(
            row.email, row.course_id, vouched=True
        ),
        f"{store}.list_set_aside": lambda s: s.enrollments.list_set_aside(
            row.email, row.course_id
        ),
        f"{store}.list_for_sync": lambda s: s.enrollments.list_for_sync(
            row.email, row.course_id
        ),
        f"{store}.transition": lambda s: s.enrollments.transition(
            row.id,
            1,
            Status.CONFIRMED,
            entry(2, Status.CONFIRMED),
            after(5),
            {"session_id": "cs_1"},
        ),
        f"{store}.claim_due": lambda s: s.enrollments.claim_due(after(200), 60, 10),
        f"{store}.clear_due": lambda s: s.enrollments.clear_due(row.id, 1),
        f"{store}.bound_due": lambda s: s.enrollments.bound_due(after(-1), 10),
        f"{store}.list": lambda s: s.enrollments.list(),
        f"{store}.list_email": lambda s: s.enrollments.list(email=row.email),
        f"{store}.list_course": lambda s: s.enrollments.list(course_id="python-101"),
        f"{store}.list_status": lambda s: s.enrollments.list(status=Status.PENDING),
        f"{store}.stats": lambda s: s.enrollments.stats(after(200)),
        f"{store}.list_code": lambda s: s.enrollments.list(coupon_code="CODE-1"),
        f"{store}.list_mailbox": lambda s: s.enrollments.list(
            mailbox=row.email, coupon_code="CODE-1"
        ),
        f"{store}.list_lms": lambda s: s.enrollments.list(lms_status=LMSStatus.DEAD),
    }


def _grant_verbs() -> Verbs:
    same = grant(2, email=grant(1).email)
    approved = grant(1, version=2, status=GrantStatus.APPROVED)
    return {
        "grants.open": lambda s: s.grants.open(grant(2)),
        "grants.open_known": lambda s: s.grants.open(same),
        "grants.find": lambda s: s.grants.find("grt_1"),
        "grants.replace": lambda s: s.grants.replace(approved),
        "grants.list": lambda s: s.grants.list(),
        "grants.list_email": lambda s: s.grants.list(email=grant(1).email),
        "grants.list_course": lambda s: s.grants.list(course_id="python-101"),
        "grants.list_status": lambda s: s.grants.list(status=GrantStatus.PENDING),
    }


def _affiliate_verbs() -> Verbs:
    known = affiliate("eve", email=affiliate("ada").email)
    suspended = affiliate("ada", version=2, suspended=True)
    fact_again = ledger_row(2, enrollment_id="enr_1")
    store = "affiliates"
    return {
        f"{store}.register": lambda s: s.affiliates.register(affiliate("bob")),
        f"{store}.register_known": lambda s: s.affiliates.register(known),
        f"{store}.find": lambda s: s.affiliates.find("ada"),
        f"{store}.find_by_email": lambda s: s.affiliates.find_by_email(known.email),
        f"{store}.replace": lambda s: s.affiliates.replace(suspended),
        f"{store}.list": lambda s: s.affiliates.list(),
        f"{store}.append": lambda s: s.affiliates.append(ledger_row(2)),
        f"{store}.append_known": lambda s: s.affiliates.append(fact_again),
        f"{store}.last": lambda s: s.affiliates.last("ada"),
        f"{store}.rows_of": lambda s: s.affiliates.rows_of("ada", "enr_1"),
        f"{store}.list_rows": lambda s: s.affiliates.list_rows("ada"),
    }


VERBS: Verbs = {
    **_coupon_verbs(),
    **_enrollment_verbs(),
    **_grant_verbs(),
    **_affiliate_verbs(),
    **_queue_verbs("jobs"),
    **_queue_verbs("events"),
    "events.record": lambda s: s.events.record("evt_1", {"type": "t"}, now=NOW),
    "events.record_known": lambda s: s.events.record("dead", {"a": "t"}, now=NOW),
    "gates.admit": lambda s: s.gates.admit("lms", 1, NOW, GatePolicy(rate_per_s=1)),
    "gates.report": lambda s: s.gates.report(
        "lms", ok=False, now=NOW, policy=GatePolicy()
    ),
    "gates.is_open": lambda s: s.gates.is_open("lms"),
    "gates.hold": lambda s: s.gates.hold("lms", "h-2", 2, NOW, after(60)),
    "gates.take_turns": lambda s: s.gates.take_turns("t", {"a": after(60)}, NOW),
    "gates.drop": lambda s: s.gates.drop("lms", "h-1"),
    "workers.seen": lambda s: s.workers.seen(_worker("w-2")),
    "workers.list": lambda s: s.workers.list(),
    "workers.drop": lambda s: s.workers.drop("w-1"),
    "events.forget": lambda s: s.events.forget("http_request", after(10), 10),
    "workers.prune": lambda s: s.workers.prune(after(100), 10),
    "audit.append": lambda s: s.audit.append(_audit("a-2")),
    "audit.list": lambda s: s.audit.list(),
    "audit.list_subject": lambda s: s.audit.list(subject="s"),
}
