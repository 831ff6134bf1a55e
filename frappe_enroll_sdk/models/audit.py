# SPDX-License-Identifier: MIT
"""The entries of the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class AuditEntry:
    """
    One action of an operator, or of the SDK on its own.

    Attributes:
        id: Unique.
        at: When.
        actor: Who.
        action: A short stable word.
        subject: Id of what was acted on.
        reason: Why, in the actor's words.
        detail: More, by name.
    """

    id: str
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str = ""
    detail: Mapping[str, Any] = attrs.field(factory=dict)
