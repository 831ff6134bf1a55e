# SPDX-License-Identifier: MIT
"""Records as the JSON that callers get: nothing that a route should not tell."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.models import Checkout, Enrollment
from frappe_enroll_sdk.money import Money


def answer(body: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status, content_type="application/json")


def money_json(amount: Money) -> dict[str, Any]:
    """Return money."""
    return {"amount_minor": amount.amount_minor, "currency": amount.currency}


def checkout_json(made: Checkout) -> dict[str, Any]:
    """Return what a learner learns of a checkout."""
    return {
        "enrollment_id": made.enrollment_id,
        "token": made.token,
        "status": str(made.status),
        "payment_url": made.payment_url,
        "next_url": made.next_url,
        "expires_at": made.expires_at.isoformat() if made.expires_at else None,
        "price": money_json(made.price),
        "discount": money_json(made.discount),
        "amount": money_json(made.amount),
    }


def enrollment_json(row: Enrollment) -> dict[str, Any]:
    """Return what the holder of its token learns of an enrollment."""
    return {
        "id": row.id,
        "course_id": row.course_id,
        "kind": str(row.kind),
        "status": str(row.status),
        "lms_status": str(row.lms_status),
        "price": money_json(row.price),
        "discount": money_json(row.discount),
        "amount": money_json(row.amount),
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
