# SPDX-License-Identifier: MIT
"""
Stripe's objects as plain dicts to our records; no field is trusted to be there.

A `StripeObject` is no dict since stripe-python 15: it is turned into one at the edge,
and signed bytes are plain JSON anyway, so this module sees dicts only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from frappe_enroll_sdk.errors import PayloadError
from frappe_enroll_sdk.models import (
    CheckoutSession,
    Dispute,
    DisputeStatus,
    Fact,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
    SessionStatus,
    SessionTerms,
)
from frappe_enroll_sdk.money import Money


#: Our mark in a session's metadata, and the metadata key of our id.
APP_KEY, APP_VALUE = "frappe_enroll_app", "frappe-enroll-sdk"
ID_KEY = "frappe_enroll_enrollment"
#: Which of the enrollment's create requests created the session.
TRY_KEY = "frappe_enroll_try"
#: Which of the deployments sharing the account created the session.
DEPLOYMENT_KEY = "frappe_enroll_deployment"
#: Metadata keys for the enrollment's terms, by field.
_COURSE_KEY, _DISCOUNT_KEY = "frappe_enroll_course", "frappe_enroll_discount"
_COUPON_KEY, _AFFILIATE_KEY = "frappe_enroll_coupon", "frappe_enroll_affiliate"
_TAX_KEY = "frappe_enroll_tax"
#: Stripe accepts no longer values, and no price has more digits.
_MOST_VALUE, _MOST_DIGITS = 500, 15
#: No enum value of Stripe's is longer.
_MOST_WORD = 64

_SESSION_FACTS = {
    "checkout.session.completed": Fact.PAID,
    "checkout.session.async_payment_succeeded": Fact.PAID,
    "checkout.session.async_payment_failed": Fact.FAILED,
    "checkout.session.expired": Fact.EXPIRED,
}
#: Events about a payment. Those about refunds and disputes are only hints: settle lists
#: both again.
_PAYMENT_FACTS = {
    "charge.refunded": Fact.REFUNDED,
    "charge.refund.updated": Fact.REFUNDED,
    "refund.created": Fact.REFUNDED,
    "refund.updated": Fact.REFUNDED,
    "refund.failed": Fact.REFUNDED,
    "charge.dispute.created": Fact.DISPUTED,
    "charge.dispute.updated": Fact.DISPUTED,
    "charge.dispute.closed": Fact.DISPUTED,
    "charge.dispute.funds_withdrawn": Fact.NOTED,
    "charge.dispute.funds_reinstated": Fact.NOTED,
    "radar.early_fraud_warning.created": Fact.FLAGGED,
    "radar.early_fraud_warning.updated": Fact.FLAGGED,
    "review.opened": Fact.FLAGGED,
    "review.closed": Fact.NOTED,
    # One session may have many failed tries: recorded, never acted on.
    "payment_intent.succeeded": Fact.NOTED,
    "payment_intent.payment_failed": Fact.NOTED,
    "payment_intent.canceled": Fact.NOTED,
}
#: Events that `frappe-enroll check` requires of the endpoint; reviews are optional.
NEEDED_EVENTS = frozenset(_SESSION_FACTS) | {
    kind for kind, fact in _PAYMENT_FACTS.items() if fact is not Fact.NOTED
} - {"charge.refund.updated", "radar.early_fraud_warning.updated", "review.opened"}


def session_of(data: Mapping[str, Any], deployment: str = "") -> CheckoutSession:
    """
    Return a session.

    A session without the mark `deployment` belongs to another deployment.

    Raises:
        PayloadError: A required field is missing or has the wrong type.
    """
    metadata = _mapping(data.get("metadata"))
    payment = data.get("payment_intent")
    amount, tax_minor = _charged(data)
    return CheckoutSession(
        id=_text(data, "id"),
        url=_optional(data, "url"),
        status=_session_status(data),
        payment_status=_word(PaymentStatus, data, "payment_status"),
        payment_failed=_has_failed(data),
        amount=amount,
        tax_minor=tax_minor,
        livemode=data.get("livemode") is True,
        payment_id=id_of(payment),
        enrollment_id=_clean(metadata.get(ID_KEY)),
        try_number=_try_of(metadata),
        ours=_is_ours(data, deployment),
        expires_at=_moment(data.get("expires_at")),
        created_at=_moment(data.get("created")),
        email=_clean(data.get("customer_email")),
        terms=_terms_of(metadata),
    )


def _is_ours(data: Mapping[str, Any], deployment: str) -> bool:
    metadata = _mapping(data.get("metadata"))
    mine = metadata.get(APP_KEY) == APP_VALUE
    return mine and metadata.get(DEPLOYMENT_KEY, "") == deployment


def sessions_of(
    rows: Iterable[Mapping[str, Any]], deployment: str
) -> tuple[tuple[CheckoutSession, ...], tuple[str, ...]]:
    """
    Return a list's sessions, and those of ours that can't be read ("id: why").

    Ownership is checked first: sessions of other products (subscriptions, for instance)
    need not have an amount that we can read.
    """
    sessions, unreadable = [], []
    for row in rows:
        if row.get("mode") != "payment" and not _is_ours(row, deployment):
            continue
        try:
            sessions.append(session_of(row, deployment))
        except PayloadError as error:
            if _is_ours(row, deployment):
                unreadable.append(f"{_clean(row.get('id'))}: {error}")
    return tuple(sessions), tuple(unreadable)


def events_of(
    rows: Iterable[Any], deployment: str
) -> tuple[tuple[PaymentEvent, ...], tuple[str, ...]]:
    """Return a list's events, and those that can't be read ("id: why")."""
    events, unreadable = [], []
    for row in rows:
        try:
            events.append(event_of(row, deployment))
        except PayloadError as error:
            unreadable.append(f"{_clean(row.get('id'))}: {error}")
    return tuple(events), tuple(unreadable)


def metadata_of(terms: SessionTerms) -> dict[str, str]:
    """Return the metadata that keeps an enrollment's terms in its session."""
    kept = {
        _COURSE_KEY: terms.course_id,
        _DISCOUNT_KEY: str(terms.discount_minor),
        _COUPON_KEY: terms.coupon_code,
        _AFFILIATE_KEY: terms.affiliate,
        _TAX_KEY: terms.tax_behavior,
    }
    return {key: value[:_MOST_VALUE] for key, value in kept.items() if value}


def _terms_of(metadata: Mapping[str, Any]) -> SessionTerms | None:
    """Return the terms in the metadata, or None if a part is missing or invalid."""
    course = _clean(metadata.get(_COURSE_KEY), _MOST_VALUE)
    discount = _clean(metadata.get(_DISCOUNT_KEY), _MOST_DIGITS)
    tax = metadata.get(_TAX_KEY)
    if course is None or discount is None or tax not in {"inclusive", "exclusive"}:
        return None
    if not (discount.isascii() and discount.isdecimal()):
        return None
    return SessionTerms(
        course_id=course,
        discount_minor=int(discount),
        coupon_code=_clean(metadata.get(_COUPON_KEY), _MOST_VALUE),
        affiliate=_clean(metadata.get(_AFFILIATE_KEY), _MOST_VALUE),
        tax_behavior=tax,
    )


def _try_of(metadata: Mapping[str, Any]) -> int:
    told = _clean(metadata.get(TRY_KEY), 3) or ""
    return int(told) if told.isascii() and told.isdecimal() else 1


def _charged(data: Mapping[str, Any]) -> tuple[Money | None, int]:
    """
    Return the amount charged, in the integration's currency, and its taxes.

    With Adaptive Pricing, newer API versions give the learner's currency in addition to
    ours (`presentment_details`); older ones give it in place of ours, and ours in
    `currency_conversion`, without taxes: these are converted back.
    """
    shown = _money(data.get("amount_total"), data.get("currency"))
    tax = _mapping(data.get("total_details")).get("amount_tax") or 0
    if isinstance(tax, bool) or not isinstance(tax, int) or not 0 <= tax <= 10**15:
        raise PayloadError("amount_tax: is not money", field="total_details")
    source = _mapping(data.get("currency_conversion"))
    if not source:
        return shown, tax
    amount = _money(source.get("amount_total"), source.get("source_currency"))
    before = _money(source.get("amount_subtotal"), source.get("source_currency"))
    if amount is None or before is None:
        raise PayloadError("currency_conversion: is not money", field="amount_total")
    on_top = amount.amount_minor - before.amount_minor
    if on_top or not shown:
        return amount, max(on_top, 0)
    return amount, round(tax * amount.amount_minor / shown.amount_minor)


def _session_status(data: Mapping[str, Any]) -> SessionStatus:
    # Very old API versions omit the status.
    if data.get("status") is None:
        paid = _optional(data, "payment_status") in {"paid", "no_payment_required"}
        return SessionStatus.COMPLETE if paid else SessionStatus.OPEN
    status: SessionStatus = _word(SessionStatus, data, "status")
    return status


def _has_failed(data: Mapping[str, Any]) -> bool:
    """
    Tell whether a delayed payment has failed for good.

    A complete session stays "unpaid"; its PaymentIntent goes back to asking for a
    payment method (Stripe, "Fulfill orders": delayed notification methods).
    """
    payment = _mapping(data.get("payment_intent"))
    failed = _optional(payment, "status") in {"requires_payment_method", "canceled"}
    complete = data.get("status") == "complete"
    return complete and data.get("payment_status") == "unpaid" and failed


def refund_of(data: Mapping[str, Any]) -> Refund:
    """
    Return a refund; mark unreadable parts as such, raise nothing.

    One without a status counts as refunded (Stripe, Refund object: "status" may be
    null).
    """
    told = data.get("status")
    return Refund(
        id=_clean(data.get("id")) or "?",
        payment_id=id_of(data.get("payment_intent")) or "",
        amount=_readable_money(data),
        status=RefundStatus.SUCCEEDED if told is None else RefundStatus(_any(told)),
        created_at=_readable_moment(data),
    )


def dispute_of(data: Mapping[str, Any]) -> Dispute:
    """Return a dispute; mark unreadable parts as such, as for a refund."""
    return Dispute(
        id=_clean(data.get("id")) or "?",
        payment_id=id_of(data.get("payment_intent")) or "",
        amount=_readable_money(data),
        status=DisputeStatus(_any(data.get("status"))),
        reason=_optional(data, "reason") or "",
        created_at=_readable_moment(data),
    )


def _any(value: Any) -> str:
    return _clean(value, _MOST_WORD) or "unreadable"


def _readable_money(data: Mapping[str, Any]) -> Money | None:
    try:
        return _money(data.get("amount"), data.get("currency"))
    except PayloadError:
        return None


def _readable_moment(data: Mapping[str, Any]) -> datetime:
    try:
        told = _moment(data.get("created"))
    except PayloadError:
        told = None
    return told or datetime.fromtimestamp(0, UTC)


def event_of(data: Any, deployment: str = "") -> PaymentEvent:
    """
    Return the payment event in a webhook's JSON.

    Raises:
        PayloadError: It is not an event.
    """
    if not isinstance(data, dict):
        raise PayloadError("not a JSON object", field="body")
    if data.get("object") == "v2.core.event":
        return _thin_event(data)
    kind = _text(data, "type")
    inner = _mapping(_mapping(data.get("data")).get("object"))
    if not inner:
        raise PayloadError("data.object: is missing", field="data.object")
    if kind in _SESSION_FACTS:
        return _session_event(data, kind, inner, deployment)
    fact = _PAYMENT_FACTS.get(kind)
    payment_id = _payment_of(inner)
    if fact is None or (payment_id is None and fact is Fact.NOTED):
        return _event(data, kind, None, inner)
    # Without a payment id, the payment is found by the event's object.
    return _event(
        data,
        kind,
        fact,
        inner,
        payment_id=payment_id,
        enrollment_id=_clean(_mapping(inner.get("metadata")).get(ID_KEY)),
        detail=_detail_of(inner),
    )


def _payment_of(inner: Mapping[str, Any]) -> str | None:
    if inner.get("object") == "payment_intent":
        return _clean(inner.get("id"))
    return id_of(inner.get("payment_intent"))


def _detail_of(inner: Mapping[str, Any]) -> dict[str, str]:
    """Return an event's details for the audit trail: Stripe's enum values, no data."""
    found = {name: _clean(inner.get(name), 64) for name in ("status", "reason")}
    error = _mapping(inner.get("last_payment_error"))
    found["code"] = _clean(error.get("code"), 64)
    return {name: value for name, value in found.items() if value is not None}


def _session_event(
    data: Mapping[str, Any], kind: str, inner: Mapping[str, Any], deployment: str
) -> PaymentEvent:
    ours = _is_ours(inner, deployment)
    mode = inner.get("mode") or ("payment" if ours else None)
    name = _clean(inner.get("id"))
    if inner.get("object") != "checkout.session" or mode != "payment" or name is None:
        return _event(data, kind, None, inner)
    fact = _SESSION_FACTS[kind]
    try:
        session = session_of(inner, deployment)
    except PayloadError as error:
        # Ownership first; its contents are fetched from the provider.
        return _event(
            data,
            kind,
            fact,
            inner,
            session_id=name,
            enrollment_id=_clean(_mapping(inner.get("metadata")).get(ID_KEY)),
            ours=ours,
            unreadable=str(error),
        )
    if fact is Fact.PAID and not session.paid:
        # Complete with a delayed payment method: nothing is paid yet.
        fact = Fact.PROCESSING
    return _event(
        data,
        kind,
        fact,
        inner,
        session_id=session.id,
        payment_id=session.payment_id,
        enrollment_id=session.enrollment_id,
        session=session,
        ours=ours,
    )


def _event(
    data: Mapping[str, Any],
    kind: str,
    fact: Fact | None,
    inner: Mapping[str, Any],
    **more: Any,
) -> PaymentEvent:
    created_at = _moment(data.get("created"))
    if created_at is None:
        raise PayloadError("created: is missing", field="created")
    return PaymentEvent(
        id=_text(data, "id"),
        type=kind,
        created_at=created_at,
        livemode=data.get("livemode") is True,
        account=_optional(data, "account"),
        fact=fact,
        object_id=_clean(inner.get("id")),
        **more,
    )


def _thin_event(data: Mapping[str, Any]) -> PaymentEvent:
    """
    Read a thin event, which has only the id of its object.

    It is deduplicated by the id of its snapshot, if it has one: the two are one fact.
    What it means beyond its type is fetched when it is applied.
    """
    stamp = data.get("created")
    try:
        created_at = datetime.fromisoformat(str(stamp)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PayloadError("created: is not a time", field="created") from error
    related = _mapping(data.get("related_object"))
    told = _text(data, "type")
    kind = told.removeprefix("v1.")
    session = kind in _SESSION_FACTS and related.get("type") == "checkout.session"
    snapshot = _clean(data.get("snapshot_event"))
    fact = _SESSION_FACTS.get(kind) if session else _PAYMENT_FACTS.get(kind)
    if fact is Fact.NOTED and snapshot is None:
        fact = None
    return PaymentEvent(
        id=snapshot or _text(data, "id"),
        type=told,
        created_at=created_at,
        livemode=data.get("livemode") is True,
        account=_clean(data.get("context")),
        fact=fact,
        object_id=_clean(related.get("id")),
        session_id=_clean(related.get("id")) if session else None,
        thin=True,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(data: Mapping[str, Any], field: str) -> str:
    value = _clean(data.get(field))
    if value is None:
        raise PayloadError(f"{field}: must be text", field=field)
    return value


def _optional(data: Mapping[str, Any], field: str) -> str | None:
    return _clean(data.get(field), most=5000)


def _clean(value: Any, most: int = 255) -> str | None:
    """Return text that can be stored and searched, or None."""
    if not isinstance(value, str) or not 0 < len(value) <= most:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate from an escape sequence
        return None
    return None if "\x00" in value else value


def id_of(value: Any) -> str | None:
    """Return the id of an object that may be expanded."""
    return _clean(value.get("id") if isinstance(value, dict) else value)


def _word(kind: Any, data: Mapping[str, Any], field: str) -> Any:
    """Return an enum value; `kind` keeps the text of an unknown one."""
    word = _clean(data.get(field), _MOST_WORD)
    if word is None:
        raise PayloadError(f"{field}: must be a word", field=field)
    return kind(word)


def _money(amount: Any, currency: Any) -> Money | None:
    if amount is None and currency is None:
        return None
    whole = isinstance(amount, int) and not isinstance(amount, bool)
    named = isinstance(currency, str) and len(currency) == 3  # noqa: PLR2004  ISO 4217
    if not whole or not named or not currency.isascii() or not currency.isalpha():
        raise PayloadError("amount_total: is not money", field="amount_total")
    if abs(amount) > 10**15:
        raise PayloadError("amount_total: is out of range", field="amount_total")
    return Money(amount, currency.lower())


def _moment(stamp: Any) -> datetime | None:
    if isinstance(stamp, bool) or not isinstance(stamp, int):
        return None
    try:
        return datetime.fromtimestamp(stamp, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise PayloadError("created: is out of range", field="created") from error
