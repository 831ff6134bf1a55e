# SPDX-License-Identifier: MIT
"""
Stripe's objects as it tells them: with every field that is never null there.

A test holds them to the types of the ``stripe`` package. Fields that may be null are
told where something reads them.
"""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]

_DAY_S = 86_400
_NOBODY = {"email": None, "name": None, "phone": None}
_NOWHERE = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
_TEXTS = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")


def session(**told: Any) -> Json:
    """Return a checkout session, open and unpaid unless told otherwise."""
    return {
        "object": "checkout.session",
        "mode": "payment",
        "status": "open",
        "payment_status": "unpaid",
        "client_reference_id": None,
        "customer": None,
        "customer_details": None,
        "customer_email": None,
        "custom_fields": [],
        "custom_text": dict.fromkeys(_TEXTS),
        "livemode": False,
        "payment_intent": None,
        "payment_method_types": ["card"],
        "shipping_options": [],
        "cancel_url": None,
        "ui_mode": "hosted_page",
        **told,
    }


def intent(**told: Any) -> Json:
    """Return a payment intent."""
    return {
        "object": "payment_intent",
        "amount_capturable": 0,
        "amount_received": told["amount"] if told["status"] == "succeeded" else 0,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "customer": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "payment_method_types": ["card"],
        **told,
    }


def charge(payment: Json, refunded: int, *, disputed: bool) -> Json:
    """Return the charge of a payment."""
    amount, paid = payment["amount"], payment["status"] == "succeeded"
    return {
        "id": payment["latest_charge"],
        "object": "charge",
        "amount": amount,
        "amount_captured": amount if paid else 0,
        "amount_refunded": refunded,
        "billing_details": {**_NOBODY, "address": dict(_NOWHERE), "tax_id": None},
        "captured": paid,
        "created": payment["created"],
        "currency": payment["currency"],
        "customer": None,
        "disputed": disputed,
        "livemode": payment["livemode"],
        "metadata": dict(payment["metadata"]),
        "paid": paid,
        "payment_intent": payment["id"],
        "refunded": refunded >= amount,
        "status": "succeeded" if paid else "pending",
    }


def refund(payment: Json, **told: Any) -> Json:
    """Return a refund of a payment."""
    return {
        "object": "refund",
        "currency": payment["currency"],
        "payment_intent": payment["id"],
        "charge": payment["latest_charge"],
        "balance_transaction": None,
        "metadata": {},
        "reason": None,
        "receipt_number": None,
        **told,
    }


def dispute(payment: Json, **told: Any) -> Json:
    """Return a dispute of a payment."""
    return {
        "object": "dispute",
        "amount": payment["amount"],
        "balance_transactions": [],
        "charge": payment["latest_charge"],
        "currency": payment["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": told["created"] + 7 * _DAY_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": told["status"].startswith("warning"),
        "livemode": payment["livemode"],
        "metadata": {},
        "payment_intent": payment["id"],
        "reason": "fraudulent",
        **told,
    }


def endpoint(number: int, url: str, **told: Any) -> Json:
    """Return a webhook endpoint."""
    return {
        "id": f"we_sandbox{number:04d}",
        "object": "webhook_endpoint",
        "url": url,
        "description": None,
        "metadata": {},
        **told,
    }
