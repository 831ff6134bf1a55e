# SPDX-License-Identifier: MIT
"""JSON answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import Page
from frappe_enroll_sdk.money import Money


def answer(body: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status, content_type="application/json")


def money_json(amount: Money) -> dict[str, Any]:
    """Return money."""
    return {"amount_minor": amount.amount_minor, "currency": amount.currency}


T = TypeVar("T")


def page_json(page: Page[T], of_item: Callable[[T], Any]) -> dict[str, Any]:
    """Return a page."""
    return {
        "items": [of_item(i) for i in page.items],
        "next_cursor": page.next_cursor,
        "unreadable": list(page.unreadable),
    }


def plain(record: Any) -> dict[str, Any]:
    """Return any record as JSON data."""
    return dict(shown(record)) if attrs.has(type(record)) else dict(record)
