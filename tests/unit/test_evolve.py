# SPDX-License-Identifier: MIT
"""Records copied whole are what `attrs.evolve` makes of them."""

from __future__ import annotations

from functools import cached_property

import attrs
import pytest
from unit.rows import NOW, make_row

from frappe_enroll_sdk.evolve import evolve
from frappe_enroll_sdk.models import Job, Status
from frappe_enroll_sdk.money import Money


@attrs.frozen(slots=False)
class _Checked:
    size: int = attrs.field(validator=attrs.validators.ge(0))


@attrs.frozen(slots=False)
class _Summed:
    parts: tuple[int, ...]

    @cached_property
    def total(self) -> int:
        return sum(self.parts)


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (make_row(), {}),
        (make_row(), {"status": Status.EXPIRED, "version": 2, "due_at": NOW}),
        (
            Job(key="k", kind="x", due_at=NOW, created_at=NOW, updated_at=NOW),
            {"tries": 1},
        ),
        (Money(4900, "usd"), {"amount_minor": 1}),
    ],
)
def test_copy_is_what_attrs_makes(record, changes):
    """The fields, and nothing of the record that it was made of."""
    before = repr(record)
    made = evolve(record, **changes)
    assert made == attrs.evolve(record, **changes)
    assert type(made) is type(record)
    assert repr(record) == before


def test_unknown_field_is_refused():
    """A misspelled field would be lost without a word."""
    with pytest.raises(TypeError, match="no field stauts"):
        evolve(make_row(), stauts=Status.EXPIRED)


def test_copy_cannot_be_changed():
    """A record is shared by whoever has read it."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        evolve(make_row(), tries=1).tries = 2


def test_validators_and_cached_values_are_kept_to():
    """A class with more than fields is made by its `__init__`."""
    with pytest.raises(ValueError, match="size"):
        evolve(_Checked(1), size=-1)
    summed = _Summed((1, 2))
    assert summed.total == 3
    assert evolve(summed, parts=(5,)).total == 5
