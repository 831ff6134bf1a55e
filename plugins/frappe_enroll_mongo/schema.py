# SPDX-License-Identifier: MIT
"""
The collections: validators and indexes, created and versioned by `setup`.

Nothing depends on a write of two documents. The indexes that keep a promise are unique:
``slot`` (one live row per learner and course), ``session``, ``idempotency_key``,
``holder`` (one seat per holder and code), ``standing`` (one grant per learner and
course), ``chain`` and ``fact`` (one row per place and per fact of a ledger), and every
collection's ``_id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from frappe_enroll_sdk.models import GrantStatus, JobState, LMSStatus, RowKind, Status


#: Grows with each change of a collection; `setup` upgrades, another one is refused.
SCHEMA_VERSION = 3

COUPONS, SEATS, ENROLLMENTS = "coupons", "coupon_seats", "enrollments"
JOBS, EVENTS, GATES, AUDIT, WORKERS, META = (
    "jobs",
    "events",
    "gates",
    "audit",
    "workers",
    "meta",
)
GRANTS, AFFILIATES, LEDGER = "grants", "affiliates", "ledger"

#: Indexes whose refusal a verb has to tell from another's.
HOLDER, SLOT = "holder", "slot"


class SeatDocState(StrEnum):
    """States of a seat's document: a seat that was given back is free."""

    FREE = "free"
    HELD = "held"
    BOUND = "bound"
    REDEEMED = "redeemed"


@attrs.frozen(kw_only=True)
class Index:
    """
    One index.

    Attributes:
        name: Its name, which errors and `explain` show.
        keys: Fields and directions.
        options: More options of ``createIndexes``.
    """

    name: str
    keys: tuple[tuple[str, int], ...]
    options: Mapping[str, Any] = attrs.field(factory=dict)


def _index(name: str, *fields: str, **options: Any) -> Index:
    keys = tuple(
        (field.removeprefix("-"), -1 if field.startswith("-") else 1)
        for field in fields
    )
    return Index(name=name, keys=keys, options=options)


def _present(field: str) -> dict[str, Any]:
    """Return the filter of a partial index over documents that have this field."""
    return {field: {"$exists": True}}


def _queue(prune_after: str) -> tuple[Index, ...]:
    return (
        # Claims and recovery of lapsed leases read this one index; a job that has ended
        # has no `claim_at` and is not in it.
        _index("claimable", "claim_at", sparse=True),
        _index("by_state", "state", "due_at", "_id"),
        _index("by_kind", "kind", "-created_at", "-_id"),
        _index("newest", "-created_at", "-_id"),
        _index(prune_after, "prune_at", sparse=True),
    )


INDEXES: Mapping[str, tuple[Index, ...]] = {
    COUPONS: (
        _index("by_course", "course_id", "_id"),
        _index("by_email", "email", "_id"),
    ),
    SEATS: (
        _index(
            HOLDER,
            "code",
            "holder",
            unique=True,
            partialFilterExpression=_present("holder"),
        ),
        # Seats that anybody may take: lapsed ones, and free ones (lapsed since ever).
        _index(
            "takeable",
            "code",
            "lapses_at",
            partialFilterExpression=_present("lapses_at"),
        ),
        # The seat that has waited longest, for a takeover.
        _index(
            "waiting",
            "code",
            "open_at",
            "holder",
            partialFilterExpression=_present("open_at"),
        ),
        _index(
            "redeemed", "code", partialFilterExpression={"state": SeatDocState.REDEEMED}
        ),
    ),
    ENROLLMENTS: (
        _index(
            SLOT,
            "email",
            "course_id",
            unique=True,
            partialFilterExpression={"holds_slot": True},
        ),
        _index("session", "session_id", unique=True, sparse=True),
        _index("payment", "payment_id", sparse=True),
        _index("idempotency_key", "idempotency_key", unique=True, sparse=True),
        _index(
            "for_sync",
            "email",
            "course_id",
            "created_at",
            "_id",
            partialFilterExpression={"for_sync": True},
        ),
        _index("due", "due_at", sparse=True),
        _index("newest", "-created_at", "-_id"),
        _index("by_email", "email", "-created_at", "-_id"),
        _index("by_course", "course_id", "-created_at", "-_id"),
        _index("by_status", "status", "-created_at", "-_id"),
        _index("by_lms_status", "lms_status", "-created_at", "-_id"),
        _index("by_code", "coupon_code", "-created_at", "-_id", sparse=True),
    ),
    JOBS: _queue("prunable"),
    EVENTS: _queue("prunable"),
    GATES: (),
    AUDIT: (
        _index("newest", "-at", "-_id"),
        _index("by_subject", "subject", "-at", "-_id"),
    ),
    WORKERS: (_index("last_seen", "-seen_at", "-_id"),),
    GRANTS: (
        _index(
            "standing",
            "email",
            "course_id",
            unique=True,
            partialFilterExpression={"holds_slot": True},
        ),
        _index("newest", "-created_at", "-_id"),
        _index("by_email", "email", "-created_at", "-_id"),
        _index("by_course", "course_id", "-created_at", "-_id"),
        _index("by_status", "status", "-created_at", "-_id"),
    ),
    AFFILIATES: (_index("email", "email", unique=True),),
    LEDGER: (
        _index("chain", "affiliate", "n", unique=True),
        _index("fact", "affiliate", "fact_key", unique=True),
        _index("by_enrollment", "affiliate", "enrollment_id", "n"),
    ),
    META: (),
}


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "bsonType": "object",
        "required": sorted(required),
        "properties": {**required, **optional},
    }


def _one_of(kind: type[StrEnum]) -> dict[str, Any]:
    return {"enum": [str(value) for value in kind]}


_TEXT = {"bsonType": "string"}
_DATE = {"bsonType": "date"}
_FLAG = {"bsonType": "bool"}
_COUNT = {"bsonType": ["int", "long"], "minimum": 0}
_FROM_ONE = {"bsonType": ["int", "long"], "minimum": 1}
_MONEY = _object({"amount_minor": _COUNT, "currency": _TEXT})
_LIST = {"bsonType": "array"}

_QUEUE = _object(
    {
        "_id": _TEXT,
        "kind": _TEXT,
        "state": _one_of(JobState),
        "seq": _FROM_ONE,
        "due_at": _DATE,
        "tries": _COUNT,
        "rev": _FROM_ONE,
        "created_at": _DATE,
        "updated_at": _DATE,
    },
    payload=_TEXT,
    data=_TEXT,
    token=_TEXT,
    claim_at=_DATE,
    prune_at=_DATE,
    errors=_LIST,
)

_SCHEMAS: Mapping[str, dict[str, Any]] = {
    COUPONS: _object(
        {
            "_id": _TEXT,
            "percent_off": _TEXT,
            "max_redemptions": _FROM_ONE,
            "disabled": _FLAG,
            "created_at": _DATE,
            "issued": _COUNT,
        },
        course_id=_TEXT,
        email=_TEXT,
        starts_at=_DATE,
        expires_at=_DATE,
    ),
    SEATS: _object(
        {"_id": _TEXT, "code": _TEXT, "state": _one_of(SeatDocState)},
        holder=_TEXT,
        reserved_at=_DATE,
        until=_DATE,
        lapses_at=_DATE,
        open_at=_DATE,
    ),
    ENROLLMENTS: _object(
        {
            "_id": _TEXT,
            "email": _TEXT,
            "course_id": _TEXT,
            "status": _one_of(Status),
            "lms_status": _one_of(LMSStatus),
            "version": _FROM_ONE,
            "price": _MONEY,
            "discount": _MONEY,
            "amount": _MONEY,
            "holds_slot": _FLAG,
            "for_sync": _FLAG,
            "created_at": _DATE,
            "updated_at": _DATE,
            "history": _LIST,
        },
        session_id=_TEXT,
        payment_id=_TEXT,
        idempotency_key=_TEXT,
        session_request=_TEXT,
        due_at=_DATE,
    ),
    JOBS: _QUEUE,
    EVENTS: _QUEUE,
    GATES: _object({"_id": _TEXT, "rev": _FROM_ONE}),
    AUDIT: _object({"_id": _TEXT, "at": _DATE, "subject": _TEXT}),
    WORKERS: _object({"_id": _TEXT, "kind": _TEXT, "seen_at": _DATE}),
    GRANTS: _object(
        {
            "_id": _TEXT,
            "email": _TEXT,
            "course_id": _TEXT,
            "status": _one_of(GrantStatus),
            "version": _FROM_ONE,
            "holds_slot": _FLAG,
            "created_at": _DATE,
            "updated_at": _DATE,
        }
    ),
    AFFILIATES: _object({"_id": _TEXT, "email": _TEXT, "version": _FROM_ONE}),
    LEDGER: _object(
        {
            "_id": _TEXT,
            "affiliate": _TEXT,
            "n": _FROM_ONE,
            "kind": _one_of(RowKind),
            "fact_key": _TEXT,
            "enrollment_id": _TEXT,
            "totals": _LIST,
            "at": _DATE,
        }
    ),
    META: _object({"_id": _TEXT, "version": _FROM_ONE}),
}

#: discount + amount = price, always.
_ADDS_UP = {
    "$expr": {
        "$eq": [
            {"$add": ["$discount.amount_minor", "$amount.amount_minor"]},
            "$price.amount_minor",
        ]
    }
}


def validator_of(name: str) -> dict[str, Any]:
    """Return the validator of a collection."""
    schema: dict[str, Any] = {"$jsonSchema": _SCHEMAS[name]}
    return {"$and": [schema, _ADDS_UP]} if name == ENROLLMENTS else schema
