# SPDX-License-Identifier: MIT
"""The pages and forms of affiliates."""

from __future__ import annotations

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.money import Money

from ..routing import Access, Call
from ..schemas.parts import EMAIL_TEXT, words
from .builders import CURSOR, REASON, change, look
from .forms import field, number, orders_of
from .render import LIMIT, Asked, asked_of, go, list_page, page


_DECIDED = ("transition", "conflict")


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
    made = orders_of(call).register({"email": field(call, "email"), **fields})
    return go(call, f"/affiliates/{made.code}", done="register")


def affiliate_order(call: Call) -> Response:
    """Suspend an affiliate, let it earn again, or write a payout."""
    code, verb, orders = call.arguments["code"], field(call, "verb"), orders_of(call)
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


ROUTES = (
    look(
        "affiliates",
        "affiliates",
        affiliates,
        "Show affiliates.",
        query=CURSOR,
    ),
    change(
        "register_affiliate",
        "affiliates",
        register,
        "Register an affiliate.",
        fields={"email": EMAIL_TEXT, **REASON},
    ),
    look(
        "affiliate",
        "affiliates/<code>",
        affiliate,
        "Show an affiliate, its balances and its ledger.",
        query=CURSOR,
    ),
    change(
        "affiliate_order",
        "affiliates/<code>",
        affiliate_order,
        "Suspend an affiliate, let it earn again, or write a payout.",
        Access.OPERATOR,
        *_DECIDED,
        fields={"verb": words(("suspend", "resume")), **REASON},
    ),
)
