# SPDX-License-Identifier: MIT
"""Affiliates in the admin API."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import Affiliate, LedgerRow

from ..answers import answer, page_json
from ..routing import Call
from ..streams import csv_answer
from .builders import PAGED, operator, viewer


AFFILIATE_FIELDS = ("code", "email", "full_name", "percent", "suspended", "created_at")
LEDGER_FIELDS = (
    *("n", "at", "kind", "enrollment_id", "version", "course_id", "currency"),
    *("held_minor", "available_minor", "paid_minor", "totals"),
)


def affiliates(call: Call) -> Response:
    """Return affiliates, by code."""
    page = call.sdk.affiliates.list(**call.query)
    return answer(page_json(page, affiliate_json))


def affiliate(call: Call) -> Response:
    """Return an affiliate with its balances and its earnings by course."""
    service, code = call.sdk.affiliates, call.arguments["code"]
    found, courses = service.get(code), service.by_course(code)
    return answer(
        {
            "affiliate": affiliate_json(found),
            "totals": [shown(total) for total in service.stats(code)],
            "courses": [shown(course) for course in courses.courses],
            "courses_at": shown(courses)["at"],
        }
    )


def ledger(call: Call) -> Response:
    """Return an affiliate's ledger, oldest row first."""
    page = call.sdk.affiliates.rows(call.arguments["code"], **call.query)
    return answer(page_json(page, ledger_json))


def statement(call: Call) -> Response:
    """Stream an affiliate's whole ledger as CSV."""
    code = call.arguments["code"]
    return csv_answer("statement", call.sdk.affiliates.statement_rows(code))


def register(call: Call) -> Response:
    """Register an affiliate, or return the existing one unchanged."""
    fields = {**call.fields, **call.by}
    if "percent" in fields:
        fields["percent"] = str(fields["percent"])
    return answer(affiliate_json(call.sdk.affiliates.register(**fields)))


def suspend(call: Call) -> Response:
    """Suspend an affiliate, or let it earn again."""
    suspended = call.fields.get("suspended", True)
    done = call.sdk.affiliates.suspend(
        call.arguments["code"], suspended=suspended, **call.by
    )
    return answer(affiliate_json(done))


def pay_out(call: Call) -> Response:
    """Record a payout; the host sends the money."""
    fields = {**call.fields, **call.by}
    row = call.sdk.affiliates.pay_out(call.arguments["code"], **fields)
    return answer(ledger_json(row))


def affiliate_json(affiliate: Affiliate) -> dict[str, Any]:
    """Return an affiliate as JSON."""
    values = shown(affiliate)
    return {name: values[name] for name in AFFILIATE_FIELDS}


def ledger_json(row: LedgerRow) -> dict[str, Any]:
    """Return a ledger row as JSON."""
    values = shown(row)
    return {name: values[name] for name in LEDGER_FIELDS}


ROUTES = (
    viewer(
        "affiliates",
        "affiliates",
        affiliates,
        "AffiliatePage",
        "Return affiliates, by code.",
        query=PAGED,
    ),
    operator(
        "register_affiliate",
        "affiliates",
        register,
        "Affiliate",
        "Register an affiliate.",
        "code_taken",
        body="AffiliateRequest",
    ),
    viewer(
        "affiliate",
        "affiliates/<code>",
        affiliate,
        "AffiliateShown",
        "Return an affiliate with its balances and its earnings by course.",
    ),
    viewer(
        "ledger",
        "affiliates/<code>/ledger",
        ledger,
        "LedgerPage",
        "Return an affiliate's ledger, oldest row first.",
        query=PAGED,
    ),
    viewer(
        "statement",
        "affiliates/<code>/statement.csv",
        statement,
        "text/csv",
        "Export an affiliate's whole ledger as CSV.",
    ),
    operator(
        "suspend_affiliate",
        "affiliates/<code>/suspend",
        suspend,
        "Affiliate",
        "Suspend an affiliate, or let it earn again.",
        "conflict",
        body="SuspendRequest",
    ),
    operator(
        "pay_out",
        "affiliates/<code>/pay-out",
        pay_out,
        "LedgerRow",
        "Record that a balance was paid out.",
        "transition",
        "conflict",
        body="PayoutRequest",
    ),
)
