# SPDX-License-Identifier: MIT
"""The rules of LMS Payments and their addresses, without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .refusals import FrappeRefusal


Json = dict[str, Any]

PAYMENT, ADDRESS = "LMS Payment", "Address"
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
    if fields["source"] not in SOURCES or fields["address"] not in tables[ADDRESS]:
        raise FrappeRefusal(417, "LinkValidationError", "Could not find the link")
    taken = {row.get("payment_id") for row in tables[PAYMENT].values()}
    if fields.get("payment_id") and fields["payment_id"] in taken:
        raise FrappeRefusal(417, "UniqueValidationError", "payment_id")


def has_paid(tables: dict[str, dict[str, Json]], member: str, course: str) -> bool:
    """Return whether a received payment of the member for the course exists."""
    return any(
        row["payment_received"]
        and (row["member"], row["payment_for_document"]) == (member, course)
        for row in tables[PAYMENT].values()
    )


#: A method of the site's own: from its JSON arguments to its answer.
Method = Callable[[Json], Json]
