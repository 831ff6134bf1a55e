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
        name: What was checked.
        state: "ok", "unknown" (could not be checked), "note" (intended by the settings,
            but worth knowing), or a short name of the fault (such as an error code).
        cause: Explanation; "" when all is well.
        mend: What to do; "" = nothing.
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
    """A backend with checks of its own (optional)."""

    def diagnose(self, *, now: datetime, public_url: str) -> tuple[Check, ...]:
        """Check its setup; raises only what its verbs raise."""
        ...
