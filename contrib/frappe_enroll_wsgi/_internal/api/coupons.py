# SPDX-License-Identifier: MIT
"""Coupons: the learner's preview and the admin API."""

from __future__ import annotations

import io
from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import Coupon
from frappe_enroll_sdk.services.coupons import files as coupon_files

from ..answers import answer, money_json, page_json, plain
from ..codes import coupon_page, seen
from ..routing import Access, Area, Call, Route
from ..schemas.parts import text
from ..streams import csv_answer
from .builders import PAGED, operator, viewer, with_moments


CODE_TROUBLE = (
    "coupon_unavailable",
    "coupon_expired",
    "coupon_exhausted",
    "course_not_found",
    "course_not_for_sale",
    "amount_too_small",
    "amount_not_chargeable",
    "vetoed",
    "plugin_failed",
    "lms_unavailable",
    "throttled",
)
_COUPON_QUERY = {"prefix": text(64), "course_id": text()}


def preview(call: Call) -> Response:
    """``POST /coupons/preview``: the price with a code, without reserving it."""
    found = call.sdk.coupons.preview(**call.fields)
    return answer(
        {
            "kind": str(found.kind),
            "price": money_json(found.price),
            "discount": money_json(found.discount),
            "amount": money_json(found.amount),
        }
    )


def coupons(call: Call) -> Response:
    """Return coupons, by code."""
    page = coupon_page(call, **call.query)
    return answer(page_json(page, coupon_json))


def coupon(call: Call) -> Response:
    """Return one coupon with its counts (a POST keeps the code out of the URL)."""
    found = call.sdk.coupons.get(call.fields["code"])
    return answer(coupon_json(seen(call, found)))


def usage(call: Call) -> Response:
    """Count coupons and seats by state."""
    return answer(plain(call.sdk.coupons.usage(**call.query)))


def export_coupons(call: Call) -> Response:
    """Stream coupons with their counts as CSV."""
    coupons = call.sdk.coupons.each(**call.query)
    rows = coupon_files.export(seen(call, coupon) for coupon in coupons)
    return csv_answer("coupons", rows)


def create_coupon(call: Call) -> Response:
    """Create a coupon."""
    made = call.sdk.coupons.create(**terms_of(call))
    return answer(coupon_json(made), 201)


def disable_coupon(call: Call) -> Response:
    """Disable a coupon; taken seats stay valid."""
    done = call.sdk.coupons.disable(call.fields["code"], **call.by)
    return answer(coupon_json(done))


def create_coupons(call: Call) -> Response:
    """Create coupons with the same terms and random codes."""
    made = call.sdk.coupons.create_each(**terms_of(call))
    return answer({"codes": [coupon.code for coupon in made]}, 201)


def import_coupons(call: Call) -> Response:
    """Create coupons from CSV text and report each bad row."""
    report = call.sdk.coupons.import_csv(
        io.StringIO(call.fields["csv"], newline=""),
        all_or_nothing=call.fields.get("all_or_nothing", False),
        **call.by,
    )
    return answer(plain(report))


def terms_of(call: Call) -> dict[str, Any]:
    """Return a coupon's terms; without a course it is good for every one."""
    terms = {**with_moments(call.fields, "starts_at", "expires_at"), **call.by}
    return terms | {"any_course": terms.get("course_id") is None}


def coupon_json(coupon: Coupon) -> dict[str, Any]:
    """Return a coupon with its counts as JSON."""
    return dict(shown(coupon))


ROUTES = (
    Route(
        name="preview",
        methods=("POST",),
        path="/coupons/preview",
        handler=preview,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Return the price with a code, without reserving it.",
        limit="preview",
        body="PreviewRequest",
        answers={200: "Preview"},
        codes=CODE_TROUBLE,
        idempotent=True,
    ),
    viewer(
        "coupons",
        "coupons",
        coupons,
        "CouponPage",
        "Return coupons, by code.",
        query={"course_id": text(), **PAGED},
    ),
    viewer(
        "coupon",
        "coupons/find",
        coupon,
        "Coupon",
        "Return one coupon.",
        body="CodeRequest",
    ),
    viewer(
        "coupon_usage",
        "coupons/usage",
        usage,
        "CouponUsage",
        "Count coupons and seats by state.",
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
        "create_coupon",
        "coupons",
        create_coupon,
        "Coupon",
        "Create a coupon.",
        "code_taken",
        "course_not_found",
        "lms_unavailable",
        "throttled",
        body="CouponRequest",
        status=201,
    ),
    operator(
        "disable_coupon",
        "coupons/disable",
        disable_coupon,
        "Coupon",
        "Disable a coupon.",
        body="DisableRequest",
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
        "Create coupons from CSV text.",
        "lms_unavailable",
        "throttled",
        body="ImportRequest",
    ),
)
