# SPDX-License-Identifier: MIT
"""The dashboard's pages and forms for coupons."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.services import validate
from frappe_enroll_sdk.services.coupons.files import Imported

from ..codes import coupon_page
from ..routing import Access, Call
from ..schemas.parts import CODE_TEXT, PERCENT_TEXT, text
from .builders import CURSOR, REASON, form_route, or_empty, page_route
from .forms import field, number
from .render import go, list_page


#: Most coupons of one form: the page shows them all.
_MAX_COUPONS = 1000


def coupons(
    call: Call,
    made: str = "",
    codes: Sequence[str] = (),
    report: Imported | None = None,
) -> Response:
    """Show coupons, the forms for new ones, and the result of a form."""
    return list_page(
        call,
        "coupons.html",
        partial(coupon_page, call),
        title="Coupons",
        items="coupons",
        status=201 if made or codes else 200,
        made=made,
        codes=codes,
        report=report,
    )


def create_coupon(call: Call) -> Response:
    """Create a coupon."""
    made = call.sdk.coupons.create(**_terms_of(call, "code", "email"))
    # No redirect: the code would be in its URL.
    return coupons(call, made.code)


def disable_coupon(call: Call) -> Response:
    """Disable a coupon."""
    call.sdk.coupons.disable(field(call, "code"), **call.by)
    return go(call, "/coupons", done="disable")


def create_coupons(call: Call) -> Response:
    """Create many coupons and show their codes."""
    terms = _terms_of(call, "prefix")
    if field(call, "per_learner"):
        terms["per_learner"] = number(call, "per_learner", 1)
    count = min(number(call, "count", 1), _MAX_COUPONS)
    made = call.sdk.coupons.create_each(count, **terms)
    return coupons(call, codes=[coupon.code for coupon in made])


def _terms_of(call: Call, *names: str) -> dict[str, Any]:
    """Return the terms in a form, and who creates the coupon for which reason."""
    given = {n: field(call, n) for n in ("course_id", *names) if field(call, n)}
    terms: dict[str, Any] = {**given, **call.by}
    terms["any_course"] = "course_id" not in terms
    terms["percent_off"] = field(call, "percent_off")
    terms["max_redemptions"] = number(call, "max_redemptions", 1)
    if day := field(call, "expires_at"):
        terms["expires_at"] = validate.moment_of(f"{day}T00:00:00+00:00", "expires_at")
    return terms


def import_coupons(call: Call) -> Response:
    """Create coupons from CSV text and show each bad row."""
    whole = field(call, "all_or_nothing") == "yes"
    text = str(call.fields.get("csv", ""))
    lines = io.StringIO(text, newline="")
    report = call.sdk.coupons.import_csv(lines, all_or_nothing=whole, **call.by)
    return coupons(call, report=report)


ROUTES = (
    page_route(
        "coupons",
        "coupons",
        coupons,
        "Show coupons.",
        query={
            "course_id": or_empty(text()),
            **CURSOR,
        },
    ),
    form_route(
        "create_coupon",
        "coupons",
        create_coupon,
        "Create a coupon.",
        Access.OPERATOR,
        "course_not_found",
        "lms_unavailable",
        "throttled",
        status=201,
        fields={"percent_off": PERCENT_TEXT, "reason": text(500)},
    ),
    form_route(
        "disable_coupon",
        "coupons/disable",
        disable_coupon,
        "Disable a coupon.",
        fields={"code": CODE_TEXT, "reason": text(500)},
    ),
    form_route(
        "create_coupons",
        "coupons/bulk",
        create_coupons,
        "Create many coupons with random codes.",
        Access.OPERATOR,
        "course_not_found",
        "conflict",
        "lms_unavailable",
        "throttled",
        status=201,
        fields={"percent_off": PERCENT_TEXT, **REASON},
    ),
    form_route(
        "import_coupons",
        "coupons/import",
        import_coupons,
        "Create coupons from CSV text.",
        Access.OPERATOR,
        "lms_unavailable",
        "throttled",
        status=200,
        fields={"csv": {"type": "string", "minLength": 1}, **REASON},
    ),
)
