# SPDX-License-Identifier: MIT
"""What a write owes: effects, observers and keys."""

from __future__ import annotations

import attrs
import pytest
from unit.rows import CODE, make_row

from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.services.settle.effects import (
    Effect,
    EffectKind,
    effects_of,
    hooks_of,
    plugin_job_key,
    sync_key,
)


REDEEM, RELEASE, SYNC, PAIR = (
    Effect(kind=kind)
    for kind in (
        EffectKind.REDEEM,
        EffectKind.RELEASE,
        EffectKind.SYNC,
        EffectKind.PAIR,
    )
)
#: status before, status after, effects with a coupon (the plugin jobs come on top).
WRITES = [
    ("pending", "awaiting_payment", []),
    ("pending", "confirmed", [REDEEM, SYNC, PAIR]),
    ("pending", "expired", [RELEASE]),
    ("pending", "failed", [RELEASE]),
    ("pending", "cancelled", [RELEASE]),
    ("awaiting_payment", "confirmed", [REDEEM, SYNC, PAIR]),
    ("awaiting_payment", "on_hold", []),
    ("awaiting_payment", "cancelled", [RELEASE]),
    ("confirmed", "enrolled", []),
    ("confirmed", "revoked", [SYNC, PAIR]),
    ("enrolled", "revoked", [SYNC, PAIR]),
    ("enrolled", "on_hold", [SYNC, PAIR]),
    ("revoked", "confirmed", [REDEEM, SYNC, PAIR]),
    ("on_hold", "confirmed", [REDEEM, SYNC, PAIR]),
    ("on_hold", "cancelled", [RELEASE]),
    ("on_hold", "revoked", [RELEASE]),
    ("expired", "on_hold", []),
]


@pytest.mark.parametrize(("before", "after", "owed"), WRITES)
def test_effects_follow_the_change_of_status(before, after, owed):
    """Seats, syncs and plugin jobs hang on the change alone."""
    row = make_row(Status(after), before=Status(before), coupon_code=CODE)
    jobs = Effect(kind=EffectKind.PLUGIN_JOBS, fact=after)
    assert effects_of(row) == (*owed, jobs)


def test_full_grant_is_redeemed_before_it_is_written():
    """What confirms it is the redeemed seat: nothing is left to redeem."""
    row = make_row(Status.CONFIRMED, before=Status.PENDING, coupon_code=CODE)
    (*before, last) = row.history
    last = attrs.evolve(last, fact="coupon_redeemed")
    jobs = Effect(kind=EffectKind.PLUGIN_JOBS, fact="confirmed")
    assert effects_of(attrs.evolve(row, history=(*before, last))) == (SYNC, PAIR, jobs)


@pytest.mark.parametrize(("before", "after", "owed"), WRITES)
def test_effects_without_a_coupon_touch_no_seat(before, after, owed):
    """The same, less redeem and release."""
    row = make_row(Status(after), before=Status(before))
    jobs = Effect(kind=EffectKind.PLUGIN_JOBS, fact=after)
    assert effects_of(row) == (*[e for e in owed if e in (SYNC, PAIR)], jobs)


@pytest.mark.parametrize("status", list(Status))
def test_effects_of_a_write_that_keeps_the_status_are_none(status):
    """A second write of the same status owes nothing, nor does the first row."""
    assert effects_of(make_row(status, before=status, coupon_code=CODE)) == ()
    assert effects_of(make_row(status, coupon_code=CODE)) == ()


@pytest.mark.parametrize(
    ("before", "after", "fact", "coupon", "hooks"),
    [
        ("pending", "pending", "reserved", CODE, ["on_coupon_reserved"]),
        ("pending", "confirmed", "coupon_redeemed", CODE, ["on_coupon_redeemed"]),
        ("awaiting_payment", "confirmed", "paid", None, ["on_payment_confirmed"]),
        (
            "awaiting_payment",
            "confirmed",
            "paid",
            CODE,
            ["on_payment_confirmed", "on_coupon_redeemed"],
        ),
        ("awaiting_payment", "failed", "payment_failed", None, ["on_payment_failed"]),
        (
            "awaiting_payment",
            "failed",
            "payment_failed",
            CODE,
            ["on_payment_failed", "on_coupon_released"],
        ),
        ("pending", "cancelled", "cancelled", CODE, ["on_coupon_released"]),
        ("pending", "cancelled", "cancelled", None, []),
        ("confirmed", "enrolled", "enrolled", CODE, ["on_enrolled"]),
        ("enrolled", "enrolled", "refunded", None, ["on_payment_refunded"]),
        (
            "enrolled",
            "revoked",
            "refunded",
            None,
            ["on_payment_refunded", "on_enrollment_revoked"],
        ),
        ("revoked", "revoked", "lms_synced", CODE, []),
        ("enrolled", "revoked", "revoked_by_operator", CODE, ["on_enrollment_revoked"]),
        ("confirmed", "confirmed", "lms_retrying", CODE, []),
    ],
)
def test_observers_hear_of_their_fact(before, after, fact, coupon, hooks):
    """Each write is told to the observers of its fact, once."""
    row = make_row(Status(after), before=Status(before), coupon_code=coupon)
    assert list(hooks_of(row, fact)) == hooks


def test_sync_key_is_one_for_learner_and_course():
    """The pair gives the key, and the key shows no address."""
    key = sync_key("ada@example.com", "python-101")
    assert key == sync_key("ada@example.com", "python-101")
    assert key != sync_key("ada@example.com", "python-102")
    assert key != sync_key("bob@example.com", "python-101")
    assert sync_key("a", "bc") != sync_key("ab", "c")
    assert key.startswith("sync:")
    assert "ada" not in key


def test_plugin_job_key_is_one_for_kind_fact_and_version():
    """A fact that comes again (reinstated) is a job of its own."""
    row = make_row(Status.ENROLLED)
    key = plugin_job_key("mail", row, "enrolled")
    assert key == plugin_job_key("mail", row, "enrolled")
    again = attrs.evolve(row, version=row.version + 4)
    others = {
        plugin_job_key("crm", row, "enrolled"),
        plugin_job_key("mail", row, "revoked"),
        plugin_job_key("mail", again, "enrolled"),
        plugin_job_key("mail", attrs.evolve(row, id="enr_2"), "enrolled"),
    }
    assert len(others | {key}) == 5
