# SPDX-License-Identifier: MIT
"""The pages and forms of grants, affiliates and coupons in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import GrantStatus
from frappe_enroll_sdk.money import Money

from ..codes import seen
from ..handlers.business_orders import BusinessOrders
from . import pages
from .forms import field, number
from .render import LIMIT, Asked, asked_of, go, list_page, page


if TYPE_CHECKING:
    from ..call import Call

#: Coupons that one press makes: they are shown on the page.
_MOST = 1000
#: What the ids of applications begin with.
_GRANT = "grt_"


def _orders(call: Call) -> BusinessOrders:
    return BusinessOrders(call.sdk, call.operator, field(call, "reason"))


def grants(call: Call, outcomes: Mapping[str, str] | None = None) -> Response:
    """Show applications; and what became of those that were just decided."""
    return list_page(
        call,
        "grants.html",
        call.sdk.grants.list,
        title="Grants",
        items="grants",
        statuses=list(GrantStatus),
        outcomes=outcomes or {},
    )


def grant(call: Call) -> Response:
    """Show one application, and the form that decides it."""
    found = seen(call, call.sdk.grants.get(call.arguments["grant_id"]))
    labels = {one.name: one.label for one in call.sdk.grants.form()}
    return page(call, "grant.html", title=found.email, grant=found, labels=labels)


def decide(call: Call) -> Response:
    """Approve or reject one application."""
    grant_id, verb = call.arguments["grant_id"], field(call, "verb")
    orders = _orders(call)
    if verb == "approve":
        orders.approve(grant_id, field(call, "percent_off"))
    elif verb == "reject":
        orders.reject(grant_id)
    else:
        raise NotFoundError
    return go(call, f"/grants/{grant_id}", done=verb)


def approve_many(call: Call) -> Response:
    """Approve the applications that are ticked, each by itself."""
    ids = [name for name in call.fields if name.startswith(_GRANT)]
    return grants(call, _orders(call).approve_many(ids, field(call, "percent_off")))


def affiliates(call: Call) -> Response:
    """Show affiliates, and a form for a new one."""
    return list_page(
        call,
        "affiliates.html",
        call.sdk.affiliates.list,
        title="Affiliates",
        items="affiliates",
        percent=call.sdk.settings.commission_percent,
    )


def affiliate(call: Call) -> Response:
    """Show one affiliate: balances, courses, ledger."""
    service, code, query = call.sdk.affiliates, call.arguments["code"], asked_of(call)
    found, ledger = service.get(code), service.rows(code, **query, limit=LIMIT)
    return page(
        call,
        "affiliate.html",
        title=found.email,
        affiliate=found,
        totals=service.stats(code),
        courses=service.by_course(code),
        rows=ledger.items,
        more=ledger.next_cursor,
        asked=Asked(query),
        money=_money,
        # The form's own: sent twice, it pays once.
        payout_id=f"pay_{call.sdk.ambient.token_hex(12)}",
    )


def _money(minor: int, currency: str) -> str:
    sign = "−" if minor < 0 else ""
    return f"{sign}{Money(abs(minor), currency)}"


def register(call: Call) -> Response:
    """Register an affiliate."""
    names = ("full_name", "code", "percent")
    fields = {name: field(call, name) for name in names if field(call, name)}
    made = _orders(call).register({"email": field(call, "email"), **fields})
    return go(call, f"/affiliates/{made.code}", done="register")


def affiliate_order(call: Call) -> Response:
    """Suspend an affiliate, let it earn again, or write a payout."""
    code, verb, orders = call.arguments["code"], field(call, "verb"), _orders(call)
    if verb == "pay_out":
        some = field(call, "amount_minor")
        orders.pay_out(
            code,
            field(call, "currency"),
            amount_minor=number(call, "amount_minor", 0) if some else None,
            payout_id=field(call, "payout_id") or None,
        )
    elif verb in {"suspend", "resume"}:
        orders.suspend(code, suspended=verb == "suspend")
    else:
        raise NotFoundError
    return go(call, f"/affiliates/{code}", done=verb)


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
    return pages.coupons(call, codes=_orders(call).create_coupons(count, terms))


def import_coupons(call: Call) -> Response:
    """Create the coupons of a CSV text; tell each bad row."""
    whole = field(call, "all_or_nothing") == "yes"
    text = str(call.fields.get("csv", ""))
    report = _orders(call).import_coupons(text, all_or_nothing=whole)
    return pages.coupons(call, report=report)
