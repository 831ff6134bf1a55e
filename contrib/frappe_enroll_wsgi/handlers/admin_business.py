# SPDX-License-Identifier: MIT
"""The admin API of grants, affiliates and coupons in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import GrantStatus
from frappe_enroll_sdk.services.coupons import files as coupon_files

from ..answers import answer
from ..codes import seen
from ..schema_parts import text, words
from ..streams import csv_answer
from . import admin_records as records
from .admin import PAGED, viewer
from .admin_changes import operator
from .business_orders import BusinessOrders


if TYPE_CHECKING:
    from ..call import Call

GRANT_QUERY = {"status": words(GrantStatus), "course_id": text()}
_COUPON_QUERY = {"prefix": text(64), "course_id": text()}


def orders_of(call: Call) -> BusinessOrders:
    """Return what the caller may order."""
    return BusinessOrders(call.sdk, call.operator, call.fields["reason"])


def usage(call: Call) -> Response:
    """Count what became of coupons."""
    return answer(records.plain(call.sdk.coupons.usage(**call.query)))


def export_coupons(call: Call) -> Response:
    """Return coupons with their counts as CSV, streamed."""
    coupons = call.sdk.coupons.each(**call.query)
    rows = coupon_files.export(seen(call, coupon) for coupon in coupons)
    return csv_answer("coupons", rows)


def create_coupons(call: Call) -> Response:
    """Create coupons of the same terms, each with a random code."""
    terms = dict(call.fields)
    del terms["reason"]
    codes = orders_of(call).create_coupons(terms.pop("count"), terms)
    return answer({"codes": codes}, 201)


def import_coupons(call: Call) -> Response:
    """Create the coupons of a CSV text; each bad row is told."""
    report = orders_of(call).import_coupons(
        call.fields["csv"], all_or_nothing=call.fields.get("all_or_nothing", False)
    )
    return answer(records.plain(report))


def grants(call: Call) -> Response:
    """Return applications, newest first."""
    page = call.sdk.grants.list(**call.query)
    return answer(records.page_json(seen(call, page), records.grant_json))


def grant(call: Call) -> Response:
    """Return one application."""
    found = call.sdk.grants.get(call.arguments["grant_id"])
    return answer(records.grant_json(seen(call, found)))


def approve(call: Call) -> Response:
    """Approve an application."""
    fields = call.fields
    done = orders_of(call).approve(
        call.arguments["grant_id"], str(fields["percent_off"]), fields.get("expires_at")
    )
    return answer(records.grant_json(done))


def approve_many(call: Call) -> Response:
    """Approve several applications, each by itself."""
    outcomes = orders_of(call).approve_many(
        call.fields["grant_ids"], str(call.fields["percent_off"])
    )
    items = []
    for grant_id, outcome in outcomes.items():
        failed = outcome.startswith("error: ")
        code = None if failed else outcome
        error = outcome.removeprefix("error: ") if failed else None
        items.append({"grant_id": grant_id, "code": code, "error": error})
    return answer({"items": items})


def reject(call: Call) -> Response:
    """Reject an application."""
    done = orders_of(call).reject(call.arguments["grant_id"])
    return answer(records.grant_json(done))


def affiliates(call: Call) -> Response:
    """Return affiliates, by code."""
    page = call.sdk.affiliates.list(**call.query)
    return answer(records.page_json(page, records.affiliate_json))


def affiliate(call: Call) -> Response:
    """Return an affiliate with its balances, and what each course earned."""
    service, code = call.sdk.affiliates, call.arguments["code"]
    found, courses = service.get(code), service.by_course(code)
    return answer(
        {
            "affiliate": records.affiliate_json(found),
            "totals": [shown(total) for total in service.stats(code)],
            "courses": [shown(course) for course in courses.courses],
            "courses_at": shown(courses)["at"],
        }
    )


def ledger(call: Call) -> Response:
    """Return an affiliate's ledger, the first row first."""
    page = call.sdk.affiliates.rows(call.arguments["code"], **call.query)
    return answer(records.page_json(page, records.ledger_json))


def statement(call: Call) -> Response:
    """Return an affiliate's whole ledger as CSV, streamed."""
    code = call.arguments["code"]
    return csv_answer("statement", call.sdk.affiliates.statement_rows(code))


def register(call: Call) -> Response:
    """Register an affiliate; a known one is answered as it is."""
    fields = dict(call.fields)
    del fields["reason"]
    if "percent" in fields:
        fields["percent"] = str(fields["percent"])
    return answer(records.affiliate_json(orders_of(call).register(fields)))


def suspend(call: Call) -> Response:
    """Let an affiliate earn nothing any more, or again."""
    done = orders_of(call).suspend(
        call.arguments["code"], suspended=call.fields.get("suspended", True)
    )
    return answer(records.affiliate_json(done))


def pay_out(call: Call) -> Response:
    """Write a payout; the money is the host's to send."""
    fields = dict(call.fields)
    del fields["reason"]
    row = orders_of(call).pay_out(call.arguments["code"], **fields)
    return answer(records.ledger_json(row))


ROUTES = (
    viewer(
        "coupon_usage",
        "coupons/usage",
        usage,
        "CouponUsage",
        "Count coupons, their seats, and what became of them.",
        query=_COUPON_QUERY,
    ),
    viewer(
        "coupon_export",
        "coupons.csv",
        export_coupons,
        "text/csv",
        "Export coupons with their counts as CSV.",
        query=_COUPON_QUERY,
    ),
    operator(
        "create_coupons",
        "coupons/bulk",
        create_coupons,
        "CouponBatch",
        "Create many coupons with random codes.",
        "course_not_found",
        "conflict",
        "lms_unavailable",
        "throttled",
        body="CouponBatchRequest",
        status=201,
    ),
    operator(
        "import_coupons",
        "coupons/import",
        import_coupons,
        "Imported",
        "Create the coupons of a CSV text.",
        "lms_unavailable",
        "throttled",
        body="ImportRequest",
    ),
    viewer(
        "grants",
        "grants",
        grants,
        "GrantPage",
        "Return applications for grants, newest first.",
        query={**GRANT_QUERY, **PAGED},
    ),
    viewer("grant", "grants/<grant_id>", grant, "Grant", "Return one application."),
    operator(
        "approve_grants",
        "grants/approve",
        approve_many,
        "Approved",
        "Approve several applications, each by itself.",
        body="ApproveManyRequest",
    ),
    operator(
        "approve_grant",
        "grants/<grant_id>/approve",
        approve,
        "Grant",
        "Approve an application: it gets its coupon.",
        "transition",
        "conflict",
        body="ApproveRequest",
    ),
    operator(
        "reject_grant",
        "grants/<grant_id>/reject",
        reject,
        "Grant",
        "Reject an application.",
        "transition",
        "conflict",
    ),
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
        "Return an affiliate, its balances, and what each course earned.",
    ),
    viewer(
        "ledger",
        "affiliates/<code>/ledger",
        ledger,
        "LedgerPage",
        "Return an affiliate's ledger, the first row first.",
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
        "Let an affiliate earn nothing any more, or again.",
        "conflict",
        body="SuspendRequest",
    ),
    operator(
        "pay_out",
        "affiliates/<code>/pay-out",
        pay_out,
        "LedgerRow",
        "Write down that a balance was paid out.",
        "transition",
        "conflict",
        body="PayoutRequest",
    ),
)
