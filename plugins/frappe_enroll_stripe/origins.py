# SPDX-License-Identifier: MIT
"""Which payment an object belongs to, where an event names the object alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .records import id_of


if TYPE_CHECKING:
    import stripe


def plain(row: Any) -> dict[str, Any]:
    """Return a list's row as a plain dict; empty if it is not an object."""
    return row.to_dict() if hasattr(row, "to_dict") else {}


def payment_of(client: stripe.StripeClient, name: str) -> str | None:
    """
    Return the payment of an id: its own, or that of an object belonging to it.

    A charge without a payment intent belongs to another product: None. The caller sets
    the deadline and translates errors.
    """
    prefix = name.partition("_")[0]
    if prefix == "pi":
        return name
    v1 = client.v1
    readers: dict[str, Any] = {
        "ch": v1.charges,
        "py": v1.charges,
        "dp": v1.disputes,
        "du": v1.disputes,
        "re": v1.refunds,
        "pyr": v1.refunds,
        "issfr": v1.radar.early_fraud_warnings,
        "prv": v1.reviews,
    }
    if prefix not in readers:
        return None
    row = plain(readers[prefix].retrieve(name))
    payment, charge = id_of(row.get("payment_intent")), id_of(row.get("charge"))
    if payment is None and charge is not None:
        payment = id_of(plain(v1.charges.retrieve(charge)).get("payment_intent"))
    return payment
