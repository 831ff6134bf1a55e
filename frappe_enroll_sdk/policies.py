# SPDX-License-Identifier: MIT
"""
What `decide` follows, and the only place of its defaults.

The settings take their defaults from here, from ``backoff.py`` (retries) and from
`GatePolicy` (the backends' breakers).
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from .states import Stay


__all__: tuple[str, ...] = ()  # internal


@attrs.frozen(kw_only=True)
class SettlePolicy:
    """
    The settings that `decide` follows.

    Attributes:
        livemode: Whether the provider's credentials move real money.
        account: Identifier of the credentials' account; "" = unknown.
        refund_policy: "keep", "suspend" or "revoke" after a full refund.
        refund_threshold_percent: Refunded percentage from which a refund counts as
            full.
        partial_refund_policy: The same after a smaller refund.
        dispute_policy: The same while a dispute is open (an inquiry is not one).
        dispute_lost_policy: The same after a lost dispute.
        paid_twice_policy: "hold" or "refund" a payment by a learner who already has the
            course.
        fraud_policy: "keep" or "suspend" (wait for an operator) after a fraud warning
            or a review.
        tax_behavior: Whether prices include taxes: "inclusive" or "exclusive".
        grace_s: Seconds after which a row that makes no progress is rolled back.
        session_margin_s: Seconds after a session's end before it is looked at.
        processing_look_s: Seconds between looks at a delayed payment.
        create_keys: Most idempotency keys that one attempt may use.
        create_patience_s: Seconds after which an unclear create is no longer retried
            while the learner waits.
        gone_margin_s: Seconds for which the provider must keep saying that it does not
            know a session, both after the session's end and since it first said so.
        gone_look_s: Seconds between looks at a session that it does not know.
        gone_looks_s: Seconds after which a payment that it does not know is no longer
            looked for.
        silent_s: Seconds after a session's end from which a failing provider is as good
            as an answer: no webhook about the session will come any more either.
        silent_tries: Looks that must have failed by then.
    """

    livemode: bool = False
    account: str = ""
    refund_policy: str = "revoke"
    refund_threshold_percent: Decimal = Decimal(100)
    partial_refund_policy: str = "keep"
    dispute_policy: str = "suspend"
    dispute_lost_policy: str = "revoke"
    paid_twice_policy: str = "hold"
    fraud_policy: str = "keep"
    tax_behavior: str = "inclusive"
    grace_s: float = 120.0
    session_margin_s: float = 60.0
    processing_look_s: float = 3600.0
    create_keys: int = 3
    create_patience_s: float = 10.0
    gone_margin_s: float = 3600.0
    gone_look_s: float = 600.0
    gone_looks_s: float = 86_400.0
    silent_s: float = 3 * 86_400.0
    silent_tries: int = 5


def longest_s(stay: Stay, *policies: object) -> float | None:
    """
    Return the longest that a row stays in a status, or None if it may stay for ever.

    Args:
        stay: The status and its bounds.
        *policies: Objects that have the bounds it names: a `SettlePolicy`, the
            settings.
    """
    if not stay.bounds:
        return None
    return sum(
        float(next(getattr(one, name) for one in policies if hasattr(one, name)))
        for name in stay.bounds
    )
