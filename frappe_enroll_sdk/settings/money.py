# SPDX-License-Identifier: MIT
"""The settings of the money: what they convert to."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from ..money import share


#: The possible effects of a refund or a dispute.
ACTIONS = ("keep", "suspend", "revoke")
_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")


def percent(value: Any) -> Decimal:
    """Return a percentage greater than 0 and at most 100."""
    number = share(value)
    if not number:
        raise ValueError("must be above 0 and at most 100")
    return number


def short_name(value: Any) -> str:
    """Return a name, if it fits into a payment's metadata."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("must be up to 64 letters, digits, dots, dashes")
    return value
