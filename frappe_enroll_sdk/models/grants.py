# SPDX-License-Identifier: MIT
"""Grant applications and the fields of their form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, auto
from typing import Any

import attrs


class GrantStatus(StrEnum):
    """State of an application; a decision is final."""

    PENDING = auto()
    APPROVED = auto()
    REJECTED = auto()


@attrs.frozen(kw_only=True)
class GrantField:
    """
    A field of the form that learners fill in to apply for a grant.

    Attributes:
        name: The answer's name.
        label: Text shown to people; defaults to the name.
        kind: ``text``, ``number`` (an integer) or ``flag``.
        required: Whether it must be answered (a flag: set).
        choices: The allowed answers; empty = any.
        most: Maximum length of a text, in characters.
    """

    name: str
    label: str = ""
    kind: str = attrs.field(
        default="text", validator=attrs.validators.in_(("text", "number", "flag"))
    )
    required: bool = False
    choices: tuple[str, ...] = ()
    most: int = 4000


@attrs.frozen(kw_only=True)
class Grant:
    """
    An application for a grant, and its outcome.

    Attributes:
        id: Unique.
        email: The learner's address, normalised.
        full_name: The learner's name, or None.
        course_id: The course, in the LMS's spelling.
        answers: The answers by field name.
        status: See `GrantStatus`.
        version: Increases by one with each write.
        code: The coupon's code, written with the approval, before the coupon.
        percent_off: The coupon's discount, once approved.
        expires_at: When the coupon lapses, once approved.
        actor: Who decided, or None.
        reason: Why, in the actor's words.
        op_id: Stamps the last write.
        created_at: When the application was made.
        updated_at: When it was last written.
    """

    id: str
    email: str = attrs.field(repr=False)
    full_name: str | None = attrs.field(default=None, repr=False)
    course_id: str
    answers: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    status: GrantStatus = GrantStatus.PENDING
    version: int = 1
    code: str | None = attrs.field(default=None, repr=False)
    percent_off: Decimal | None = None
    expires_at: datetime | None = None
    actor: str | None = None
    reason: str = attrs.field(default="", repr=False)
    op_id: str = ""
    created_at: datetime
    updated_at: datetime

    @property
    def holds_slot(self) -> bool:
        """Whether it is the approved grant of its learner and course."""
        return self.status is GrantStatus.APPROVED
