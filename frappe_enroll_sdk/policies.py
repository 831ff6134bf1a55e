# SPDX-License-Identifier: MIT
"""The policies that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .backoff import RetryPolicy
from .models import GatePolicy
from .services.settle.decision import SettlePolicy


if TYPE_CHECKING:
    from .interfaces import PaymentGateway
    from .settings import Settings
    from .states import Stay


def settle_policy_of(settings: Settings, payments: PaymentGateway) -> SettlePolicy:
    """Return what refunds, disputes and warnings do, and whose money moves how."""
    return SettlePolicy(
        livemode=payments.livemode,
        account=payments.account,
        refund_policy=settings.refund_policy,
        refund_threshold_percent=settings.refund_threshold_percent,
        partial_refund_policy=settings.partial_refund_policy,
        dispute_policy=settings.dispute_policy,
        dispute_lost_policy=settings.dispute_lost_policy,
        fraud_policy=settings.fraud_policy,
        paid_twice_policy=settings.paid_twice,
        tax_behavior=settings.tax_behavior,
    )


def longest_s(stay: Stay, settings: Settings, policy: SettlePolicy) -> float | None:
    """Return the longest that a row is in a status, if it leaves by itself."""
    if not stay.bounds:
        return None
    return sum(
        float(getattr(policy if hasattr(policy, name) else settings, name))
        for name in stay.bounds
    )


def retry_policy_of(settings: Settings) -> RetryPolicy:
    """Return when a failed job is tried again, and how often."""
    return RetryPolicy(
        schedule_s=settings.retry_schedule_s,
        jitter=settings.retry_jitter,
        most_tries=settings.retry_max_tries,
    )


def gate_policy_of(settings: Settings) -> GatePolicy:
    """Return how fast the LMS is asked, and how long it is left alone."""
    return GatePolicy(
        closed_s=settings.gate_closed_s,
        rate_per_s=settings.lms_rate_per_s or None,
        burst=max(int(settings.lms_rate_per_s), 1),
    )
