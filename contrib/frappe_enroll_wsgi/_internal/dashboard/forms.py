# SPDX-License-Identifier: MIT
"""Fields of the dashboard's forms."""

from __future__ import annotations

from frappe_enroll_sdk.errors import ValidationError

from ..routing import Call


def field(call: Call, name: str) -> str:
    """Return a form field, trimmed; "" if it is missing."""
    return str(call.fields.get(name, "")).strip()


def number(call: Call, name: str, default: int) -> int:
    """Return a form field as a whole number; `default` if it is empty."""
    text = field(call, name) or str(default)
    if not text.isdecimal() or len(text) > 8:  # noqa: PLR2004  far above any bound
        raise ValidationError(f"{name}: must be a whole number", field=name)
    return int(text)
