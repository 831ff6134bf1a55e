# SPDX-License-Identifier: MIT
"""Very many documents of every sort, as the store writes them, put in at once."""

from __future__ import annotations

from frappe_enroll_mongo.tables import _document_of
from frappe_enroll_sdk.interfaces.tables import Row
from frappe_enroll_sdk.models import (
    AuditEntry,
    GrantStatus,
    JobEnd,
    LMSStatus,
    Status,
    WorkerSeen,
)
from frappe_enroll_sdk.stores import queue, seats
from frappe_enroll_sdk.stores.layout import (
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
from frappe_enroll_sdk.stores.records import ms_of
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


def _before_ms(number: int) -> int:
    return ms_of(_before(number))


def _template(store, record):
    """Return the document of a record."""
    cells = store._records.codec.cells_of(record)
    return _document_of(Row("", 1, "op", cells))


def _coupons(count, store):
    cells = store.records.codec.cells_of(coupon())
    template = _document_of(Row("", 1, "op", cells | {"issued": SEATS_OF_A_CODE}))
    for n in range(count):
        whose = {"course_id": f"course-{n % 500}", "email": f"{n % 5000}@example.com"}
        yield template | whose | {"_id": _name(n), "created_at": _before_ms(n)}


def _seats(count):
    for n in range(count):
        code, number = _name(n // SEATS_OF_A_CODE), n % SEATS_OF_A_CODE
        cells = seats.held(code, f"enr_{n:06d}", _before(n), after(900 + n))
        if n % 10:
            cells |= seats.REDEEM
        yield _document_of(Row(seats.key_of(code, number), 1, "op", cells))


def _spread(templates, count):
    """Yield `count` documents, each some milliseconds before the one it is made of."""
    for n in range(count):
        template = templates[n % len(templates)]
        moved = {
            name: value - n for name, value in template.items() if name.endswith("_at")
        }
        yield template | moved | {"_id": _name(n)}


def _enrollments(count, store):
    ends = (Status.ENROLLED, Status.CONFIRMED, Status.EXPIRED, Status.REVOKED)
    templates = [
        _template(
            store,
            enrollment(
                n,
                status=ends[n % 4],
                lms_status=list(LMSStatus)[n % len(LMSStatus)],
                created_at=_before(n),
                updated_at=_before(n),
                due_at=after(n - 10) if n % 2 else None,
                history=(entry(1, ends[n % 4]),),
            ),
        )
        for n in range(20)
    ]
    for n, document in enumerate(_spread(templates, count)):
        yield document | {
            "email": f"{n}@example.com",
            "mailbox": f"{n}@example.com",
            "course_id": f"course-{n % 500}",
            "session_id": f"cs_bulk_{n}",
            "payment_id": f"pi_bulk_{n}",
            "idempotency_key": f"bulk-{n}",
            "coupon_code": _name(n // SEATS_OF_A_CODE),
        }


def _queue(count, store):
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
        templates.append(_template(store, job))
    return _spread(templates, count)


def _audit(count, store):
    template = _template(
        store, AuditEntry(id="x", at=NOW, actor="ada", action="revoke", subject="x")
    )
    for n in range(count):
        given = {"_id": _name(n), "at": _before_ms(n), "subject": f"s{n % 5000}"}
        yield template | given


def _workers(count, store):
    seen = WorkerSeen(name="x", kind="worker", started_at=NOW, seen_at=NOW)
    template = _template(store, seen)
    for n in range(count):
        yield template | {"_id": _name(n), "seen_at": _before_ms(n)}


def _grants(count, store):
    templates = [_template(store, grant(status=status)) for status in GrantStatus]
    for n in range(count):
        whose = {"email": f"{n}@example.com", "course_id": f"course-{n % 500}"}
        given = {"_id": _name(n), "created_at": _before_ms(n)}
        yield templates[n % 3] | whose | given


def _affiliates(count, store):
    template = _template(store, affiliate())
    for n in range(count):
        yield template | {"_id": _name(n), "email": f"{n}@example.com"}


def _ledger(count, store):
    """Half of all rows are of the affiliate whose chain the verbs read."""
    cells = store._ledger.codec.cells_of(ledger_row())
    template = _document_of(Row("", 1, "op", cells))
    for n in range(count):
        fact = {"enrollment_id": f"bulk-{n // 4}", "fact_key": f"bulk-{n}"}
        chain = {"affiliate": ("ada", _name(n % 50))[n % 2], "n": 1000 + n}
        yield template | fact | chain | {"_id": _name(n)}


def fill_up(database, storage, count: int) -> None:
    """Put `count` documents into every collection of a store that is set up."""
    rows = {
        COUPONS: _coupons(count, storage.coupons),
        SEATS: _seats(count),
        ENROLLMENTS: _enrollments(count, storage.enrollments),
        JOBS: _queue(count, storage.jobs),
        EVENTS: _queue(count, storage.events),
        AUDIT: _audit(count, storage.audit),
        WORKERS: _workers(count, storage.workers),
        GRANTS: _grants(count, storage.grants),
        AFFILIATES: _affiliates(count, storage.affiliates),
        LEDGER: _ledger(count, storage.affiliates),
    }
    for table, documents in rows.items():
        database[table.name].insert_many(documents, ordered=False)
        assert database[table.name].estimated_document_count() >= count
