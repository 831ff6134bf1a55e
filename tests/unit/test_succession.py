# SPDX-License-Identifier: MIT
"""Following a chain of reassignments: to its end, past cycles, and not for ever."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.rows import make_row

from frappe_enroll_sdk.errors import ConflictError
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.services.settle.succession import has_succeeded, heir_of


def chain_of(*names, then=None):
    """Return rows that were passed on from one to the next, by id."""
    following = [*names[1:], then]
    return {
        name: make_row(Status.REVOKED if to else Status.ENROLLED, id=name, moved_to=to)
        for name, to in zip(names, following, strict=True)
    }


@given(st.integers(1, 40), st.data())
def test_heir_is_the_last_from_wherever_one_begins(length, data):
    """Any row of a chain leads to its end."""
    names = [f"enr_{n}" for n in range(length)]
    rows = chain_of(*names)
    start = data.draw(st.sampled_from(names))
    assert heir_of(rows[start], rows.get).id == names[-1]


@pytest.mark.parametrize("back", ["a", "b", "c"])
def test_cycle_is_walked_once(back):
    """Damaged rows keep nobody busy for ever."""
    rows = chain_of("a", "b", "c", then=back)
    assert heir_of(rows["a"], rows.get).id == "c"


def test_row_that_is_missing_ends_the_chain():
    """The last one that there is."""
    rows = chain_of("a", "b", then="gone")
    assert heir_of(rows["a"], rows.get).id == "b"


def test_chain_without_an_end_is_told():
    """A thousand hops: whoever asks fails, and is alerted in the end."""
    rows = chain_of(*map(str, range(1002)))
    with pytest.raises(ConflictError):
        heir_of(rows["0"], rows.get)
    assert heir_of(rows["3"], rows.get).id == "1001"


def test_what_a_row_on_the_way_owes_is_done_first():
    """And what the last one owes is its own affair."""
    rows = chain_of("a", "b", "c")
    rows = {name: attrs.evolve(row, effects_owed=True) for name, row in rows.items()}
    done = []

    def passed_on(name):
        done.append(name)
        return rows[name]

    assert heir_of(rows["a"], rows.get, passed_on).id == "c"
    assert done == ["a", "b"]


@pytest.mark.parametrize(
    ("fact", "done"),
    [
        ("opened", False),
        ("payment_attached", False),
        ("accepted_by_operator", True),
        ("revoked_by_operator", True),
    ],
)
def test_succession_is_done_once_a_word_was_said(fact, done):
    """A new row begins without one, and ends its succession by one."""
    assert has_succeeded(make_row(Status.ENROLLED, fact=fact)) is done
