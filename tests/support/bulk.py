# SPDX-License-Identifier: MIT
"""Very many documents of every sort, as the store writes them, put in at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from frappe_enroll_mongo import seats
from frappe_enroll_mongo.documents import to_document
from frappe_enroll_mongo.enrollments import _to_document
from frappe_enroll_mongo.jobdocs import of_job
from frappe_enroll_mongo.schema import (
    AFFILIATES,
    AUDIT,
    COUPONS,
    ENROLLMENTS,
    EVENTS,
    GRANTS,
    JOBS,
    LEDGER,
    SEATS,
    WORKERS,
)
from frappe_enroll_sdk.models import (
    AuditEntry,
    GrantStatus,
    JobEnd,
    LMSStatus,
    Status,
    WorkerSeen,
)
from frappe_enroll_sdk.stores import queue
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


#: Sorts after every name that a test chooses: the test's own rows are what is below.
MARK = "~"
SEATS_OF_A_CODE = 100


def _name(number: int) -> str:
    return f"{MARK}{number:06d}"


def _before(number: int):
    """Return a moment before `NOW`, another one for each number."""
    return after(-7 * 86400 - number)


def _coupons(count):
    template = to_document(coupon()) | {"issued": SEATS_OF_A_CODE, "full": False}
    for field in ("code", "reserved", "redeemed"):
        del template[field]
    for n in range(count):
        whose = {"course_id": f"course-{n % 500}", "email": f"{n % 5000}@example.com"}
        yield template | whose | {"_id": _name(n), "created_at": _before(n)}


def _seats(count):
    gone = {"lapses_at", "open_at"}
    for n in range(count):
        code, number = _name(n // SEATS_OF_A_CODE), n % SEATS_OF_A_CODE
        held = seats.held_by(f"enr_{n:06d}", _before(n), after(900 + n), "op")
        if n % 10:
            kept = {name: held[name] for name in held if name not in gone}
            held = kept | {"state": seats.REDEEMED}
        yield {"_id": seats.seat_id(code, number), "code": code, **held}


def _spread(templates, count):
    """Yield `count` documents, each some milliseconds before the one it is made of."""
    for n in range(count):
        shift = timedelta(milliseconds=n)
        template = templates[n % len(templates)]
        moved = {
            name: value - shift
            for name, value in template.items()
            if isinstance(value, datetime)
        }
        yield template | moved | {"_id": _name(n)}


def _enrollments(count):
    ends = (Status.ENROLLED, Status.CONFIRMED, Status.EXPIRED, Status.REVOKED)
    templates = [
        _to_document(
            enrollment(
                n,
                status=ends[n % 4],
                lms_status=list(LMSStatus)[n % len(LMSStatus)],
                created_at=_before(n),
                updated_at=_before(n),
                due_at=after(n - 10) if n % 2 else None,
                history=(entry(1, ends[n % 4]),),
            )
        )
        | {"holds_slot": n % 4 < 2}
        for n in range(20)
    ]
    for n, document in enumerate(_spread(templates, count)):
        yield document | {
            "email": f"{n}@example.com",
            "course_id": f"course-{n % 500}",
            "session_id": f"cs_bulk_{n}",
            "payment_id": f"pi_bulk_{n}",
            "idempotency_key": f"bulk-{n}",
            "coupon_code": _name(n // SEATS_OF_A_CODE),
        }


def _queue(count, ends):
    """Of twenty: two due, four put off, eight done, four dead, two running."""
    templates = []
    for n in range(20):
        kind, at = ("sync", "mail")[n % 2], _before(n)
        job = queue.new_job(_name(n), kind, {"type": "t"}, at, at)
        part = n // 2
        if part in (1, 2):
            job = queue.new_job(_name(n), kind, {"type": "t"}, after(500 + n), at)
        if part > 2:
            job = queue.claimed(job, "w", f"batch.{job.key}", at, 10**6)
        if part in (3, 4, 5, 6):
            job = queue.completed(job, JobEnd(token="", seq=1), at)
        if part in (7, 8):
            job = queue.buried(job, 1, at, try_error())
        templates.append(of_job(job, ends) | {"rev": 1, "op": "op"})
    return _spread(templates, count)


def _audit(count):
    template = to_document(
        AuditEntry(id="x", at=NOW, actor="ada", action="revoke", subject="x")
    )
    del template["id"]
    for n in range(count):
        yield template | {"_id": _name(n), "at": _before(n), "subject": f"s{n % 5000}"}


def _workers(count):
    seen = WorkerSeen(name="x", kind="worker", started_at=NOW, seen_at=NOW)
    template = to_document(seen)
    del template["name"]
    for n in range(count):
        yield template | {"_id": _name(n), "seen_at": _before(n)}


def _grants(count):
    templates = [to_document(grant(status=status)) for status in GrantStatus]
    for n in range(count):
        whose = {"email": f"{n}@example.com", "course_id": f"course-{n % 500}"}
        given = {"_id": _name(n), "created_at": _before(n)}
        yield _without(templates[n % 3], "id") | whose | given


def _affiliates(count):
    template = _without(to_document(affiliate()), "code")
    for n in range(count):
        yield template | {"_id": _name(n), "email": f"{n}@example.com"}


def _ledger(count):
    """Half of all rows are of the affiliate whose chain the verbs read."""
    template = to_document(ledger_row())
    for n in range(count):
        fact = {"enrollment_id": f"bulk-{n // 4}", "fact_key": f"bulk-{n}"}
        chain = {"affiliate": ("ada", _name(n % 50))[n % 2], "n": 1000 + n}
        yield template | fact | chain | {"_id": _name(n)}


def _without(document, field):
    return {name: value for name, value in document.items() if name != field}


def fill_up(database, storage, count: int) -> None:
    """Put `count` documents into every collection of a store that is set up."""
    rows = {
        COUPONS: _coupons(count),
        SEATS: _seats(count),
        ENROLLMENTS: _enrollments(count),
        JOBS: _queue(count, storage.jobs._ends),
        EVENTS: _queue(count, storage.events._ends),
        AUDIT: _audit(count),
        WORKERS: _workers(count),
        GRANTS: _grants(count),
        AFFILIATES: _affiliates(count),
        LEDGER: _ledger(count),
    }
    for name, documents in rows.items():
        database[name].insert_many(documents, ordered=False)
        assert database[name].estimated_document_count() >= count
