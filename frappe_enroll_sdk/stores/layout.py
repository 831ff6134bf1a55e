# SPDX-License-Identifier: MIT
"""
The tables that every database has, declared.

A column bears the name of its record's field; what follows here has none. A *slot* that
depends on a state is a column that is null where the state does not count, under a
plain unique index. Money is three columns, ``…_minor``, ``…_currency`` and
``…_exponent``.

=============  ==================================================================
``held``       1 while the row has the slot of its learner and course
``unpaid_at``  `created_at`, of attempts that nobody has paid
``own_at``     the same, of those that the host has vouched for
``aside_at``   `created_at`, of rows that are on hold or revoked
``mailbox``    one spelling of `email`
``sync_at``    `created_at`, of rows that the LMS has or should have
``claim_at``   `due_at`, while the job may be claimed (due, or running)
``prune_at``   `updated_at`, once the job has ended and `prune` may take something
``lapses_at``  when anybody may take the seat: 0 = free, a held one's end
``open_at``    0 = free, `reserved_at` of a seat that is held or bound
``redeemed``   1 once the seat is redeemed
``issued``     seats of the code whose numbers were handed out (a hint)
``complete``   1 once every number of the code has a seat: none has to be looked for
``token``      of a claim: what its batch shares; the rest of the token is the key
``fact_key``   what a row of the ledger states, once
=============  ==================================================================
"""

from __future__ import annotations

from ..interfaces.tables import KEY, CellKind, Column, Index, Table


__all__ = ("LAYOUT_VERSION", "SEATS", "TABLES")


#: Grows with each change of a table; `setup` upgrades, older is refused. (The layouts
#: before this one, which each backend had for itself, ended with 5.)
LAYOUT_VERSION = 6

_NAME, _TEXT, _INT, _FLOAT = CellKind.NAME, CellKind.TEXT, CellKind.INT, CellKind.FLOAT


def _columns(
    kind: CellKind, required: str, optional: str = "", /
) -> tuple[Column, ...]:
    """Return columns of one kind; names apart by spaces."""
    return (
        *(Column(name, kind, required=True) for name in required.split()),
        *(Column(name, kind) for name in optional.split()),
    )


COUPONS = Table(
    "coupons",
    (
        *_columns(_NAME, "", "course_id email"),
        *_columns(_TEXT, "percent_off"),
        *_columns(
            _INT,
            "max_redemptions disabled created_at issued complete",
            "per_learner starts_at expires_at",
        ),
    ),
    (
        Index("by_course", ("course_id", KEY)),
        Index("by_email", ("email", KEY)),
    ),
)

#: Key: the code, a ``#`` and the seat's number in eight digits, from 0. A seat's row is
#: never deleted.
SEATS = Table(
    "coupon_seats",
    (
        *_columns(_NAME, "code state", "holder"),
        *_columns(_INT, "", "reserved_at until lapses_at open_at redeemed"),
    ),
    (
        Index("holder", ("code", "holder"), unique=True),
        Index("takeable", ("code", "lapses_at")),
        Index("open", ("code", "open_at")),
        Index("redeemed", ("code", "redeemed")),
    ),
)

ENROLLMENTS = Table(
    "enrollments",
    (
        *_columns(
            _NAME,
            "email mailbox course_id status lms_status",
            "coupon_code idempotency_key session_id payment_id",
        ),
        *_columns(
            _TEXT,
            "learner course_title kind price_currency discount_currency "
            "amount_currency token_hash terms tax_behavior opened_by",
            "full_name affiliate success_url cancel_url session_request payment_url "
            "session_account lms_enrollment_id lms_left override reason held_for "
            "paid_currency dispute moved_to",
        ),
        *_columns(
            _INT,
            "version price_minor discount_minor amount_minor is_limited session_try "
            "seat_lapsed lms_row_ours tax_minor refunded_minor effects_owed tries "
            "created_at updated_at claims_slot",
            "held unpaid_at own_at aside_at sync_at due_at session_expires_at "
            "session_livemode gone_at refund_begun_at paid_minor price_exponent "
            "discount_exponent amount_exponent paid_exponent",
        ),
        Column("lms_progress", _FLOAT),
        Column("history", CellKind.LINES, required=True),
    ),
    (
        Index("slot", ("email", "course_id", "held"), unique=True),
        Index("session", ("session_id",), unique=True),
        Index("payment", ("payment_id", "created_at")),
        Index("idempotency", ("idempotency_key",), unique=True),
        Index("for_sync", ("email", "course_id", "sync_at")),
        Index("unpaid", ("email", "course_id", "unpaid_at")),
        Index("own", ("email", "course_id", "own_at")),
        Index("aside", ("email", "course_id", "aside_at")),
        Index("of_mailbox", ("mailbox", "coupon_code", "created_at")),
        Index("due", ("due_at",), drains=True),
        Index("newest", ("created_at",)),
        Index("by_email", ("email", "created_at")),
        Index("by_course", ("course_id", "created_at")),
        Index("by_status", ("status", "created_at")),
        Index("by_lms_status", ("lms_status", "created_at")),
        Index("by_code", ("coupon_code", "created_at")),
    ),
)


def _queue(name: str) -> Table:
    return Table(
        name,
        (
            *_columns(_NAME, "kind state"),
            *_columns(
                _INT,
                "seq due_at tries deliveries recovered created_at updated_at",
                "claim_at prune_at",
            ),
            *_columns(_TEXT, "data errors", "token owner outcome payload"),
        ),
        (
            # Claims, and recovery of lapsed leases, read this one index.
            Index("claimable", ("claim_at",), drains=True),
            Index("by_state", ("state", "due_at")),
            Index("by_kind", ("kind", "created_at")),
            Index("newest", ("created_at",)),
            Index("prunable", ("prune_at",)),
        ),
        wakes="claim_at",
    )


JOBS, EVENTS = _queue("jobs"), _queue("events")

GATES = Table(
    "gates",
    (
        *_columns(_INT, "", "retry_at filled_at"),
        *_columns(_FLOAT, "", "tokens"),
        *_columns(_TEXT, "permits"),
    ),
)

AUDIT = Table(
    "audit",
    (
        *_columns(_NAME, "subject"),
        *_columns(_INT, "at"),
        *_columns(_TEXT, "actor action reason detail"),
    ),
    (Index("newest", ("at",)), Index("by_subject", ("subject", "at"))),
)

WORKERS = Table(
    "workers",
    (
        *_columns(_INT, "started_at seen_at"),
        *_columns(_TEXT, "kind detail"),
    ),
    (Index("last_seen", ("seen_at",)),),
)

GRANTS = Table(
    "grants",
    (
        *_columns(_NAME, "email course_id status"),
        *_columns(_INT, "version created_at updated_at", "held expires_at"),
        *_columns(_TEXT, "answers reason op_id", "full_name code percent_off actor"),
    ),
    (
        Index("slot", ("email", "course_id", "held"), unique=True),
        Index("newest", ("created_at",)),
        Index("by_email", ("email", "created_at")),
        Index("by_course", ("course_id", "created_at")),
        Index("by_status", ("status", "created_at")),
    ),
)

AFFILIATES = Table(
    "affiliates",
    (
        *_columns(_NAME, "email"),
        *_columns(_INT, "suspended version created_at"),
        *_columns(_TEXT, "percent op_id", "full_name"),
    ),
    (Index("by_email", ("email",), unique=True),),
)

#: Key: the affiliate's code, a ``#`` and `n` in ten digits: one row for each place.
LEDGER = Table(
    "ledger",
    (
        *_columns(_NAME, "affiliate enrollment_id fact_key"),
        *_columns(
            _INT,
            "n version held_minor available_minor paid_minor at",
            "matures_at",
        ),
        *_columns(_TEXT, "kind course_id currency percent totals actor reason op_id"),
    ),
    (
        Index("chain", ("affiliate", "n"), unique=True),
        Index("facts", ("affiliate", "fact_key"), unique=True),
        Index("by_enrollment", ("affiliate", "enrollment_id", "n")),
    ),
)

TABLES = (
    COUPONS,
    SEATS,
    ENROLLMENTS,
    JOBS,
    EVENTS,
    GATES,
    AUDIT,
    WORKERS,
    GRANTS,
    AFFILIATES,
    LEDGER,
)
#: Tables whose rows are work.
QUEUES = (JOBS, EVENTS)
