# SPDX-License-Identifier: MIT
"""The pages and forms of coupons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.services.coupons.files import Imported

from ..codes import coupon_page
from ..routing import Access, Call
from ..schemas.parts import CODE_TEXT, text
from .builders import CURSOR, PERCENT, REASON, change, either, look
from .forms import field, number, orders_of
from .render import go, list_page


#: Coupons that one press makes: they are shown on the page.
_MOST = 1000


def coupons(
    call: Call,
    made: str = "",
    codes: Sequence[str] = (),
    report: Imported | None = None,
) -> Response:
    """Show coupons, forms for new ones, and what a form that was sent has made."""
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
    terms: dict[str, Any] = {"percent_off": field(call, "percent_off")}
    for name in ("course_id", "code", "email"):
        if field(call, name):
            terms[name] = field(call, name)
    terms["max_redemptions"] = number(call, "max_redemptions", 1)
    if field(call, "expires_at"):
        terms["expires_at"] = f"{field(call, 'expires_at')}T00:00:00+00:00"
    made = orders_of(call).create_coupon(terms)
    # No redirect: the code would stand in its address.
    return coupons(call, made.code)


def disable_coupon(call: Call) -> Response:
    """Disable a coupon."""
    orders_of(call).disable_coupon(field(call, "code"))
    return go(call, "/coupons", done="disable")


def create_coupons(call: Call) -> Response:
    """Create many coupons; their codes are on the page, not in its address."""
    names = ("course_id", "prefix")
    terms: dict[str, Any] = {n: field(call, n) for n in names if field(call, n)}
    terms["percent_off"] = field(call, "percent_off")
    terms["max_redemptions"] = number(call, "max_redemptions", 1)
    if field(call, "per_learner"):
        terms["per_learner"] = number(call, "per_learner", 1)
    if field(call, "expires_at"):
        terms["expires_at"] = f"{field(call, 'expires_at')}T00:00:00+00:00"
    count = min(number(call, "count", 1), _MOST)
    return coupons(call, codes=orders_of(call).create_coupons(count, terms))


def import_coupons(call: Call) -> Response:
    """Create the coupons of a CSV text; tell each bad row."""
    whole = field(call, "all_or_nothing") == "yes"
    text = str(call.fields.get("csv", ""))
    report = orders_of(call).import_coupons(text, all_or_nothing=whole)
    return coupons(call, report=report)


ROUTES = (
    look(
        "coupons",
        "coupons",
        coupons,
        "Show coupons.",
        query={
            "course_id": either(text()),
            **CURSOR,
        },
    ),
    change(
        "create_coupon",
        "coupons",
        create_coupon,
        "Create a coupon.",
        Access.OPERATOR,
        "course_not_found",
        "lms_unavailable",
        "throttled",
        status=201,
        fields={"percent_off": PERCENT, "reason": text(500)},
    ),
    change(
        "disable_coupon",
        "coupons/disable",
        disable_coupon,
        "Disable a coupon.",
        fields={"code": CODE_TEXT, "reason": text(500)},
    ),
    change(
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
        fields={"percent_off": PERCENT, **REASON},
    ),
    change(
        "import_coupons",
        "coupons/import",
        import_coupons,
        "Create the coupons of a CSV text.",
        Access.OPERATOR,
        "lms_unavailable",
        "throttled",
        status=200,
        fields={"csv": {"type": "string", "minLength": 1}, **REASON},
    ),
)
