# SPDX-License-Identifier: MIT
"""What an examination finds: a state, its cause, and what mends it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs


__all__ = ("Check", "Diagnosable")


@attrs.frozen(kw_only=True)
class Check:
    """
    One line of ``frappe-enroll check``.

    Attributes:
        name: What was looked at.
        state: "ok", "unknown" (could not be looked at), "note" (as it is set up, and
            worth knowing), or a short word of what is wrong (an error's code for
            instance).
        cause: Why, in words; "" when all is well.
        mend: What to do; "" when there is nothing to do.
    """

    name: str
    state: str = "ok"
    cause: str = ""
    mend: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether something has to be done."""
        return self.state not in {"ok", "unknown", "note"}


@runtime_checkable
class Diagnosable(Protocol):
    """A backend that has checks of its own; those that have none need nothing."""

    def diagnose(self, *, now: datetime, public_url: str) -> tuple[Check, ...]:
        """Examine how it is set up; raises nothing but what its verbs raise."""
        ...
