# SPDX-License-Identifier: MIT
"""The dashboard's rows for grants, affiliates and coupons in bulk."""

from __future__ import annotations

from frappe_enroll_sdk.models import GrantStatus

from ..routes import Access
from ..schema_parts import EMAIL_TEXT, text, words
from . import business
from .rows import CURSOR, PERCENT, change, either, look


_REASON = {"reason": text(500)}
_DECIDED = ("transition", "conflict")

ROUTES = (
    look(
        "grants",
        "grants",
        business.grants,
        "Show applications for grants.",
        query={"status": either(words(GrantStatus)), **CURSOR},
    ),
    change(
        "approve_grants",
        "grants",
        business.approve_many,
        "Approve the applications that are ticked.",
        status=200,
        fields={"percent_off": PERCENT, **_REASON},
    ),
    look("grant", "grants/<grant_id>", business.grant, "Show one application."),
    change(
        "decide_grant",
        "grants/<grant_id>",
        business.decide,
        "Approve or reject an application.",
        Access.OPERATOR,
        *_DECIDED,
        fields={
            "verb": words(("approve", "reject")),
            "percent_off": PERCENT,
            **_REASON,
        },
    ),
    look(
        "affiliates",
        "affiliates",
        business.affiliates,
        "Show affiliates.",
        query=CURSOR,
    ),
    change(
        "register_affiliate",
        "affiliates",
        business.register,
        "Register an affiliate.",
        fields={"email": EMAIL_TEXT, **_REASON},
    ),
    look(
        "affiliate",
        "affiliates/<code>",
        business.affiliate,
        "Show an affiliate, its balances and its ledger.",
        query=CURSOR,
    ),
    change(
        "affiliate_order",
        "affiliates/<code>",
        business.affiliate_order,
        "Suspend an affiliate, let it earn again, or write a payout.",
        Access.OPERATOR,
        *_DECIDED,
        fields={"verb": words(("suspend", "resume")), **_REASON},
    ),
    change(
        "create_coupons",
        "coupons/bulk",
        business.create_coupons,
        "Create many coupons with random codes.",
        Access.OPERATOR,
        "course_not_found",
        "conflict",
        "lms_unavailable",
        "throttled",
        status=201,
        fields={"percent_off": PERCENT, **_REASON},
    ),
    change(
        "import_coupons",
        "coupons/import",
        business.import_coupons,
        "Create the coupons of a CSV text.",
        Access.OPERATOR,
        "lms_unavailable",
        "throttled",
        status=200,
        fields={"csv": {"type": "string", "minLength": 1}, **_REASON},
    ),
)
