# SPDX-License-Identifier: MIT
"""The fields of the forms."""

from __future__ import annotations

from frappe_enroll_sdk.errors import ValidationError

from ..business_orders import BusinessOrders
from ..routing import Call


def orders_of(call: Call) -> BusinessOrders:
    """Return what the caller may change, for the reason in the form."""
    return BusinessOrders(call.sdk, call.operator, field(call, "reason"))


def field(call: Call, name: str) -> str:
    """Return a field of the form, trimmed; "" if it is not there."""
    return str(call.fields.get(name, "")).strip()


def number(call: Call, name: str, default: int) -> int:
    """Return a field as a whole number; `default` if it is empty."""
    text = field(call, name) or str(default)
    if not text.isdecimal() or len(text) > 8:  # noqa: PLR2004  far above any bound
        raise ValidationError(f"{name}: must be a whole number", field=name)
    return int(text)
