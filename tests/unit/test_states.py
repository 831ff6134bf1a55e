# SPDX-License-Identifier: MIT
"""The table of transitions, written down a second time."""

from __future__ import annotations

import pytest

from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.states import (
    ENTITLED,
    EXITS,
    FINISHED,
    TRANSITIONS,
    UNPAID,
    is_allowed,
)


ALLOWED = {
    "pending": {
        "awaiting_payment",
        "confirmed",
        "on_hold",
        "expired",
        "cancelled",
        "failed",
    },
    "awaiting_payment": {"confirmed", "on_hold", "expired", "cancelled", "failed"},
    "confirmed": {"enrolled", "revoked", "on_hold"},
    "enrolled": {"revoked", "on_hold"},
    "revoked": {"confirmed", "on_hold"},
    "expired": {"confirmed", "on_hold"},
    "cancelled": {"confirmed", "on_hold"},
    "failed": {"confirmed", "on_hold"},
    "on_hold": {"confirmed", "revoked", "cancelled"},
}


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_transition_is_allowed_as_the_table_says(before, after):
    """Every pair of statuses; a row may always keep its own."""
    expected = before is after or after.value in ALLOWED[before.value]
    assert is_allowed(before, after) is expected


def test_paid_never_goes_back():
    """No path leads from a row that was paid to one that is not."""
    reached, edge = set(), {Status.CONFIRMED}
    while edge:
        reached |= edge
        edge = {to for status in edge for to in TRANSITIONS[status]} - reached
    assert not reached & UNPAID
    assert Status.EXPIRED not in reached
    assert Status.FAILED not in reached


def test_exit_is_revived_by_a_hold_or_a_redeemed_grant_only():
    """A late payment on an exit is looked at by an operator first."""
    revived = frozenset({Status.CONFIRMED, Status.ON_HOLD})
    assert {TRANSITIONS[status] for status in EXITS} == {revived}


def test_groups_of_statuses_are_what_their_names_say():
    """Unpaid, entitled, ended: what is in none of them waits, or was revoked."""
    assert {"confirmed", "enrolled"} == ENTITLED
    assert {"pending", "awaiting_payment"} == UNPAID
    assert {"expired", "cancelled", "failed"} == EXITS
    rest = set(Status) - UNPAID - ENTITLED - EXITS
    assert rest == {Status.REVOKED, Status.ON_HOLD}


def test_finished_jobs_are_all_but_due_and_running():
    """Whatever is not an end is claimed again."""
    assert set(JobState) - FINISHED == {JobState.DUE, JobState.RUNNING}
