# SPDX-License-Identifier: MIT
"""The dashboard's pages and forms for affiliates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import Totals

from ..routing import Access, Call
from ..schemas.parts import EMAIL_TEXT, words
from .builders import CURSOR, REASON, form_route, page_route
from .forms import field, number
from .render import LIMIT, Filters, filters_of, go, list_page, page


_DECIDED = ("transition", "conflict")


def affiliates(call: Call) -> Response:
    """Show affiliates and the form for a new one."""
    return list_page(
        call,
        "affiliates.html",
        call.sdk.affiliates.list,
        title="Affiliates",
        items="affiliates",
        percent=call.sdk.settings.commission_percent,
    )


def affiliate(call: Call) -> Response:
    """Show one affiliate with its balances, courses and ledger."""
    service, code, query = call.sdk.affiliates, call.arguments["code"], filters_of(call)
    found, ledger = service.get(code), service.rows(code, **query, limit=LIMIT)
    balances = service.stats(code)
    return page(
        call,
        "affiliate.html",
        title=found.email,
        affiliate=found,
        totals=balances,
        courses=service.by_course(code),
        rows=ledger.items,
        more=ledger.next_cursor,
        unreadable=ledger.unreadable,
        filters=Filters(query),
        money=partial(_money, {one.currency: one for one in balances}),
        # Unique to the form: submitting it twice pays once.
        payout_id=f"pay_{call.sdk.ambient.token_hex(12)}",
    )


def _money(balances: Mapping[str, Totals], minor: int, currency: str) -> str:
    sign, balance = "−" if minor < 0 else "", balances.get(currency)
    return f"{sign}{(balance or Totals(currency=currency)).money(abs(minor))}"


def register(call: Call) -> Response:
    """Register an affiliate."""
    names = ("full_name", "code", "percent")
    fields = {name: field(call, name) for name in names if field(call, name)}
    made = call.sdk.affiliates.register(field(call, "email"), **fields, **call.by)
    return go(call, f"/affiliates/{made.code}", done="register")


def act(call: Call) -> Response:
    """Suspend or resume an affiliate, or record a payout."""
    code, verb = call.arguments["code"], field(call, "verb")
    affiliates = call.sdk.affiliates
    if verb == "pay_out":
        some = field(call, "amount_minor")
        affiliates.pay_out(
            code,
            field(call, "currency"),
            amount_minor=number(call, "amount_minor", 0) if some else None,
            payout_id=field(call, "payout_id") or None,
            **call.by,
        )
    elif verb in {"suspend", "resume"}:
        affiliates.suspend(code, suspended=verb == "suspend", **call.by)
    else:
        raise NotFoundError
    return go(call, f"/affiliates/{code}", done=verb)


ROUTES = (
    page_route(
        "affiliates",
        "affiliates",
        affiliates,
        "Show affiliates.",
        query=CURSOR,
    ),
    form_route(
        "register_affiliate",
        "affiliates",
        register,
        "Register an affiliate.",
        fields={"email": EMAIL_TEXT, **REASON},
    ),
    page_route(
        "affiliate",
        "affiliates/<code>",
        affiliate,
        "Show an affiliate with its balances and its ledger.",
        query=CURSOR,
    ),
    form_route(
        "affiliate_order",
        "affiliates/<code>",
        act,
        "Suspend or resume an affiliate, or record a payout.",
        Access.OPERATOR,
        *_DECIDED,
        fields={"verb": words(("suspend", "resume")), **REASON},
    ),
)
