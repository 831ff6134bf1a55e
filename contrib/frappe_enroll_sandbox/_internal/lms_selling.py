# SPDX-License-Identifier: MIT
"""The rules of LMS Payments and their addresses, without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .lms_doctypes import ADDRESS, COURSE, PAYMENT, USER, Json
from .refusals import FrappeRefusal


#: The LMS Sources of a new site.
SOURCES = frozenset(
    {
        "Newsletter",
        "LinkedIn",
        "Twitter",
        "Website",
        "Friend/Colleague/Connection",
        "Google Search",
    }
)
_MANDATORY = {
    PAYMENT: (
        "member",
        "billing_name",
        "address",
        "source",
        "payment_for_document_type",
        "payment_for_document",
        "amount",
        "currency",
    ),
    ADDRESS: ("address_title", "address_line1", "city", "country"),
}


def check_sale(tables: dict[str, dict[str, Json]], doctype: str, fields: Json) -> None:
    """Refuse a payment or an address as LMS 2.61 does."""
    for name in _MANDATORY[doctype]:
        if fields.get(name) in (None, ""):
            raise FrappeRefusal(417, "MandatoryError", name)
    if doctype != PAYMENT:
        return
    kind, name = fields["payment_for_document_type"], fields["payment_for_document"]
    found = kind != COURSE or str(name).lower() in tables[COURSE]
    addressed = fields["address"] in tables[ADDRESS]
    member = str(fields["member"]).lower() in tables[USER]
    if not (found and addressed and member and fields["source"] in SOURCES):
        raise FrappeRefusal(417, "LinkValidationError", "Could not find the link")
    # MariaDB ignores case and trailing spaces.
    taken = {_compared(row.get("payment_id")) for row in tables[PAYMENT].values()}
    if fields.get("payment_id") and _compared(fields["payment_id"]) in taken:
        raise FrappeRefusal(417, "UniqueValidationError", "payment_id")


def _compared(value: Any) -> str:
    return str(value or "").rstrip().lower()


def has_paid(tables: dict[str, dict[str, Json]], member: str, course: str) -> bool:
    """Return whether a received payment of the member for the course exists."""
    return any(
        row["payment_received"]
        and (row["member"], row["payment_for_document"]) == (member, course)
        for row in tables[PAYMENT].values()
    )


#: A method of the site's own: JSON arguments to answer.
Method = Callable[[Json], Json]
