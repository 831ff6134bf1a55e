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
    """Where an application stands; a decision is final."""

    PENDING = auto()
    APPROVED = auto()
    REJECTED = auto()


@attrs.frozen(kw_only=True)
class GrantField:
    """
    A field of the form that learners fill in to apply for a grant.

    Attributes:
        name: What the answer is called.
        label: What a person reads; the name if not given.
        kind: ``text``, ``number`` (a whole one) or ``flag``.
        required: Whether it must be answered; a flag: agreed to.
        choices: The texts that may be answered; any if there are none.
        most: Characters of a text at the most.
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
    An application for a grant, and what became of it.

    Attributes:
        id: Unique.
        email: The learner's address, normalised.
        full_name: The learner's name, or None.
        course_id: The course, in the LMS's spelling.
        answers: The form's fields by name.
        status: See `GrantStatus`.
        version: Grows by one with each write.
        holds_slot: Whether it is the pending or approved one of learner and course.
        code: The coupon's code, written with the approval, before the coupon.
        percent_off: What the coupon takes off, once approved.
        expires_at: When the coupon lapses, once approved.
        actor: Who decided, or None.
        reason: Why, in the actor's words.
        op_id: Stamps the last write.
        created_at: When it was applied for.
        updated_at: When it was last written.
    """

    id: str
    email: str = attrs.field(repr=False)
    full_name: str | None = attrs.field(default=None, repr=False)
    course_id: str
    answers: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    status: GrantStatus = GrantStatus.PENDING
    version: int = 1
    holds_slot: bool = True
    code: str | None = attrs.field(default=None, repr=False)
    percent_off: Decimal | None = None
    expires_at: datetime | None = None
    actor: str | None = None
    reason: str = attrs.field(default="", repr=False)
    op_id: str = ""
    created_at: datetime
    updated_at: datetime
