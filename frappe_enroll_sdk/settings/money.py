# SPDX-License-Identifier: MIT
"""The settings of the money: what refunds, disputes and taxes do."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import attrs

from ..money import share
from .http import HTTPSettings
from .sources import in_range, one_of, option


_ACTIONS = ("keep", "suspend", "revoke")
_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")


def percent(value: Any) -> Decimal:
    """Return a share above 0 and at most 100."""
    number = share(value)
    if not number:
        raise ValueError("must be above 0 and at most 100")
    return number


def short_name(value: Any) -> str:
    """Return a name that fits into a payment's metadata."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("must be up to 64 letters, digits, dots, dashes")
    return value


@attrs.frozen(kw_only=True)
class MoneySettings(HTTPSettings):
    """What `Settings` holds of the money, upon what it holds of the HTTP surface."""

    below_minimum: str = option(
        "FRAPPE_ENROLL_BELOW_MINIMUM",
        "what becomes of a remainder below the provider's minimum: free or refused",
        "refused",
        convert=one_of("free", "refused"),
    )
    refund_policy: str = option(
        "FRAPPE_ENROLL_REFUND_POLICY",
        "what a full refund does: keep, suspend or revoke",
        "revoke",
        convert=one_of(*_ACTIONS),
    )
    refund_threshold_percent: Decimal = option(
        "FRAPPE_ENROLL_REFUND_THRESHOLD_PERCENT",
        "percent given back from which a refund counts as full",
        Decimal(100),
        convert=percent,
    )
    partial_refund_policy: str = option(
        "FRAPPE_ENROLL_PARTIAL_REFUND_POLICY",
        "what a smaller refund does: keep, suspend or revoke",
        "keep",
        convert=one_of(*_ACTIONS),
    )
    dispute_policy: str = option(
        "FRAPPE_ENROLL_DISPUTE_POLICY",
        "what an open dispute does: keep, suspend or revoke (an inquiry: nothing)",
        "suspend",
        convert=one_of(*_ACTIONS),
    )
    dispute_lost_policy: str = option(
        "FRAPPE_ENROLL_DISPUTE_LOST_POLICY",
        "what a lost dispute does: keep, suspend or revoke",
        "revoke",
        convert=one_of(*_ACTIONS),
    )
    fraud_policy: str = option(
        "FRAPPE_ENROLL_FRAUD_POLICY",
        "what a fraud warning or a review does: keep, or suspend (until accepted)",
        "keep",
        convert=one_of("keep", "suspend"),
    )
    tax_behavior: str = option(
        "FRAPPE_ENROLL_TAX_BEHAVIOR",
        "whether prices hold the taxes: inclusive or exclusive",
        "inclusive",
        convert=one_of("inclusive", "exclusive"),
    )
    commission_percent: Decimal = option(
        "FRAPPE_ENROLL_COMMISSION_PERCENT",
        "an affiliate's share of what is paid without taxes, unless it has its own",
        Decimal(10),
        convert=percent,
    )
    commission_hold_days: float = option(
        "FRAPPE_ENROLL_COMMISSION_HOLD_DAYS",
        "days that a commission is held before it may be paid out",
        30.0,
        convert=in_range(float, 0, 3650),
    )
    deployment: str = option(
        "FRAPPE_ENROLL_DEPLOYMENT",
        "name that tells apart deployments that share a payment account",
        "",
        convert=short_name,
    )
