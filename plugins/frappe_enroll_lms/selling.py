# SPDX-License-Identifier: MIT
"""
Enrolments that the site wants to know the price of.

Either an LMS Payment, whose `payment_id` is unique since LMS 2.61, is written before
the enrolment; or the site has an enrolment method of its own, which is told everything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from frappe_enroll_sdk.errors import LMSUnavailableError
from frappe_enroll_sdk.money import Money

from .fence import RefusedStatusError


if TYPE_CHECKING:
    from frappe_enroll_sdk.models import Sale
    from frappe_enroll_sdk.settings import Settings

_PAYMENT, _ADDRESS = "LMS Payment", "Address"
#: Title of the address shared by all our payments; Frappe requires one for each.
_ADDRESS_TITLE = "frappe-enroll"
_MOST_WORDS = 200


def major_of(amount: Money) -> float:
    """Return an amount in major units, as Frappe stores it."""
    return float(amount.decimal)


class Books:
    """Records each sale in the LMS, once."""

    def __init__(self, source: str, address: str) -> None:
        self._source = source
        self._street, self._city, self._country = (
            part.strip() for part in address.split(",")
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Build it, or return None if payments are not to be recorded."""
        if not settings.record_payment:
            return None
        return cls(settings.payment_source, settings.payment_address)

    @property
    def links(self) -> tuple[tuple[str, str, str], ...]:
        """What each payment names: doctype, name, and the setting that says so."""
        return (
            ("LMS Source", self._source, "FRAPPE_ENROLL_PAYMENT_SOURCE"),
            ("Country", self._country, "FRAPPE_ENROLL_PAYMENT_ADDRESS"),
        )

    def record(self, client: Any, learner: str, course_id: str, sale: Sale) -> str:
        """Return the name of the sale's LMS Payment, written now or earlier."""
        known = _find(client, _PAYMENT, "payment_id", str(sale.payment_id))
        if known is not None:
            return known
        payment = {
            "doctype": _PAYMENT,
            "member": learner,
            "billing_name": sale.full_name or learner,
            "address": self._address(client),
            "source": self._source,
            "payment_for_document_type": "LMS Course",
            "payment_for_document": course_id,
            "amount": major_of(sale.amount),
            "currency": sale.amount.currency.upper(),
            "payment_received": 1,
            "payment_id": sale.payment_id,
            "order_id": sale.enrollment_id,
        }
        try:
            return str(client.insert(payment)["name"])
        except RefusedStatusError as error:
            # UniqueValidationError: another writer was faster; otherwise it does not
            # exist.
            known = _find(client, _PAYMENT, "payment_id", str(sale.payment_id))
            if known is None or error.exc_type != "UniqueValidationError":
                raise
            return known

    def mark(self, client: Any, payment_id: str, *, received: bool) -> None:
        """
        Record in an existing LMS Payment whether its sale is still valid.

        While it is, the LMS lets the learner enroll again for free.
        """
        rows = _rows(client, _PAYMENT, ["name", "payment_received"], payment_id)
        if not rows or bool(rows[0].get("payment_received")) is received:
            return
        change = {
            "doctype": _PAYMENT,
            "name": rows[0]["name"],
            "payment_received": int(received),
        }
        client.update(change)

    def _address(self, client: Any) -> str:
        known = _find(client, _ADDRESS, "address_title", _ADDRESS_TITLE)
        if known is not None:
            return known
        address = {
            "doctype": _ADDRESS,
            "address_title": _ADDRESS_TITLE,
            "address_type": "Billing",
            "address_line1": self._street,
            "city": self._city,
            "country": self._country,
        }
        return str(client.insert(address)["name"])


def _find(client: Any, doctype: str, field: str, value: str) -> str | None:
    rows = _rows(client, doctype, ["name"], value, field)
    return str(rows[0]["name"]) if rows else None


def _rows(
    client: Any,
    doctype: str,
    fields: list[str],
    value: str,
    field: str = "payment_id",
) -> list[dict[str, Any]]:
    rows = client.get_list(
        doctype,
        fields=fields,
        filters=[[field, "=", value]],
        limit_page_length=1,
        order_by="creation asc",
    )
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LMSUnavailableError("the LMS answered 200 with unexpected data")
    return rows


def call_method(
    session: Any, url: str, method: str, learner: str, course_id: str, sale: Sale
) -> str:
    """
    Call the site's own enrolment method; return the enrolment's name.

    It receives ``{user_email, course_id, paid_status, payment_id, amount, currency,
    referral_code}`` as JSON and returns ``{success, enrollment_id | error}``.

    Raises:
        RefusedStatusError: It refused.
        LMSUnavailableError: Its answer is something else: unclear.
    """
    body = {
        "user_email": learner,
        "course_id": course_id,
        "paid_status": sale.paid,
        "payment_id": sale.payment_id,
        "amount": major_of(sale.amount),
        "currency": sale.amount.currency.upper(),
        "referral_code": sale.affiliate,
    }
    response = session.post(f"{url}/api/method/{method}", json=body)
    answer = json.loads(response.content).get("message")
    if not isinstance(answer, Mapping) or not isinstance(answer.get("success"), bool):
        raise LMSUnavailableError(
            f"{method} does not answer {{success, enrollment_id | error}}", unclear=True
        )
    if not answer["success"]:
        # The site's own text, without the learner's address.
        words = str(answer.get("error") or "no cause given").replace(learner, "…")
        raise RefusedStatusError(
            f"the site's enrolment method refuses: {words[:_MOST_WORDS]}", 200, None
        )
    return str(answer.get("enrollment_id") or "")
