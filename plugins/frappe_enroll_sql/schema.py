# SPDX-License-Identifier: MIT
"""
The tables.

Each row keeps its record as JSON in `doc`; what is searched, sorted or checked stands
in columns of its own. A queue's row has a column for each field, so that a claim and
its end write few bytes and encode none. Moments are integer milliseconds since 1970
(UTC).
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

from frappe_enroll_sdk.models import GrantStatus, JobState, LMSStatus, SeatState, Status


#: Grows with each change of a table; `setup` upgrades, older is refused.
SCHEMA_VERSION = 5

metadata = MetaData()


def _one_of(column: str, values: type) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]  # an enum class
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_is_known")


schema_version = Table(
    "schema_version",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("version", Integer, nullable=False),
    sqlite_strict=True,
)

coupons = Table(
    "coupons",
    metadata,
    Column("code", Text, primary_key=True),
    Column("course_id", Text),
    Column("email", Text),
    Column("max_redemptions", Integer, CheckConstraint("max_redemptions >= 1")),
    Column("starts_at", Integer),
    Column("expires_at", Integer),
    Column("disabled", Integer, nullable=False),
    # Counters beside the seats: a claim on a code with 10 000 seats counts none.
    Column("taken", Integer, nullable=False, server_default="0"),
    Column("redeemed", Integer, nullable=False, server_default="0"),
    Column("doc", Text, nullable=False),
    CheckConstraint("taken BETWEEN 0 AND max_redemptions", name="not_overbooked"),
    CheckConstraint("redeemed BETWEEN 0 AND taken", name="redeemed_are_taken"),
    Index("coupons_by_course", "course_id", "code"),
    Index("coupons_by_email", "email", "code"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

seats = Table(
    "coupon_seats",
    metadata,
    Column("code", Text, ForeignKey("coupons.code"), primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("state", Text, _one_of("state", SeatState), nullable=False),
    Column("reserved_at", Integer, nullable=False),
    Column("until", Integer, nullable=False),
    Index("seats_lapsing", "code", "until", sqlite_where=text("state = 'held'")),
    Index(
        "seats_open", "code", "reserved_at", sqlite_where=text("state <> 'redeemed'")
    ),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

enrollments = Table(
    "enrollments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("course_id", Text, nullable=False),
    Column("status", Text, _one_of("status", Status), nullable=False),
    Column("lms_status", Text, _one_of("lms_status", LMSStatus), nullable=False),
    Column("version", Integer, CheckConstraint("version >= 1"), nullable=False),
    Column("holds_slot", Integer, nullable=False),
    Column("for_sync", Integer, nullable=False),
    Column("session_id", Text),
    Column("payment_id", Text),
    Column("idempotency_key", Text),
    Column("price_minor", Integer, CheckConstraint("price_minor >= 0")),
    Column("discount_minor", Integer, CheckConstraint("discount_minor >= 0")),
    Column("amount_minor", Integer, CheckConstraint("amount_minor >= 0")),
    Column("due_at", Integer),
    Column("created_at", Integer, nullable=False),
    Column("coupon_code", Text),
    Column("doc", Text, nullable=False),
    CheckConstraint("discount_minor + amount_minor = price_minor", name="adds_up"),
    # The slot: one live row per learner and course.
    Index(
        "one_live_row",
        "email",
        "course_id",
        unique=True,
        sqlite_where=text("holds_slot = 1"),
    ),
    Index("enrollments_for_sync", "email", "course_id", "for_sync", "created_at"),
    Index("enrollments_by_session", "session_id", unique=True),
    Index("enrollments_by_payment", "payment_id"),
    Index("enrollments_by_key", "idempotency_key", unique=True),
    Index("enrollments_due", "due_at", "id", sqlite_where=text("due_at IS NOT NULL")),
    Index("enrollments_newest", "created_at", "id"),
    Index("enrollments_by_email", "email", "created_at", "id"),
    Index("enrollments_by_course", "course_id", "created_at", "id"),
    Index("enrollments_by_status", "status", "created_at", "id"),
    Index("enrollments_by_lms_status", "lms_status", "created_at", "id"),
    Index(
        "enrollments_by_code",
        "coupon_code",
        "created_at",
        "id",
        sqlite_where=text("coupon_code IS NOT NULL"),
    ),
    sqlite_strict=True,
)


def _queue(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("key", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("state", Text, _one_of("state", JobState), nullable=False),
        Column("seq", Integer, nullable=False),
        Column("due_at", Integer, nullable=False),
        # The same while the job may be claimed (due or running), else null.
        Column("claim_at", Integer),
        Column("tries", Integer, nullable=False),
        Column("token", Text),
        Column("owner", Text),
        Column("outcome", Text),
        Column("deliveries", Integer, nullable=False),
        Column("recovered", Integer, nullable=False),
        Column("pruned", Integer, nullable=False, server_default="0"),
        Column("created_at", Integer, nullable=False),
        Column("updated_at", Integer, nullable=False),
        # JSON, last: the columns before it are read without them.
        Column("payload", Text),
        Column("data", Text, nullable=False),
        Column("errors", Text, nullable=False),
        # Claims and recovery of lapsed leases read this one index.
        Index(
            f"{name}_claimable",
            "claim_at",
            "key",
            "kind",
            sqlite_where=text("claim_at IS NOT NULL"),
        ),
        CheckConstraint(
            "(claim_at IS NOT NULL) = (state IN ('due', 'running'))",
            name="claimable_or_ended",
        ),
        Index(
            f"{name}_by_token",
            "token",
            unique=True,
            sqlite_where=text("token IS NOT NULL"),
        ),
        Index(f"{name}_by_state", "state", "due_at", "key"),
        Index(f"{name}_by_kind", "kind", "created_at", "key"),
        Index(f"{name}_newest", "created_at", "key"),
        Index(
            f"{name}_prunable", "state", "updated_at", sqlite_where=text("pruned = 0")
        ),
        sqlite_strict=True,
    )


jobs = _queue("jobs")
events = _queue("events")

gates = Table(
    "gates",
    metadata,
    Column("name", Text, primary_key=True),
    Column("doc", Text, nullable=False),
    sqlite_strict=True,
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seen_at", Integer, nullable=False),
    Column("doc", Text, nullable=False),
    Index("workers_seen", "seen_at", "name"),
    sqlite_strict=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("doc", Text, nullable=False),
    Index("audit_newest", "at", "id"),
    Index("audit_by_subject", "subject", "at", "id"),
    sqlite_strict=True,
)

grants = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("course_id", Text, nullable=False),
    Column("status", Text, _one_of("status", GrantStatus), nullable=False),
    Column("holds_slot", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("doc", Text, nullable=False),
    Index(
        "one_standing_grant",
        "email",
        "course_id",
        unique=True,
        sqlite_where=text("holds_slot = 1"),
    ),
    Index("grants_newest", "created_at", "id"),
    Index("grants_by_email", "email", "created_at", "id"),
    Index("grants_by_course", "course_id", "created_at", "id"),
    Index("grants_by_status", "status", "created_at", "id"),
    sqlite_strict=True,
)

affiliates = Table(
    "affiliates",
    metadata,
    Column("code", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("doc", Text, nullable=False),
    Index("affiliates_by_email", "email", unique=True),
    sqlite_strict=True,
)

ledger = Table(
    "ledger",
    metadata,
    Column("affiliate", Text, ForeignKey("affiliates.code"), primary_key=True),
    Column("n", Integer, CheckConstraint("n >= 1"), primary_key=True),
    Column("fact_key", Text, nullable=False),
    Column("enrollment_id", Text, nullable=False),
    Column("doc", Text, nullable=False),
    # A fact is stated once, whoever states it how often.
    Index("ledger_facts", "affiliate", "fact_key", unique=True),
    Index("ledger_by_enrollment", "affiliate", "enrollment_id", "n"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
