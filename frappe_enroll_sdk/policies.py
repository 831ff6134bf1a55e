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
        account: Mark of the account that they belong to; "" = unknown.
        refund_policy: "keep", "suspend" or "revoke" after a full refund.
        refund_threshold_percent: Share given back from which a refund counts as full.
        partial_refund_policy: The same after a smaller one.
        dispute_policy: The same while a dispute is open (an inquiry is none).
        dispute_lost_policy: The same after a dispute that was lost.
        paid_twice_policy: "hold" or "refund" a payment of whoever has the course.
        fraud_policy: "keep" or "suspend" (wait for an operator) after a fraud warning
            or a review.
        tax_behavior: Whether prices hold the taxes: "inclusive" or "exclusive".
        grace_s: Seconds after which a row that nobody advances is rolled back.
        session_margin_s: Seconds past a session's end before it is looked at.
        processing_look_s: Seconds between looks at a delayed payment.
        create_keys: Idempotency keys that one attempt may use up.
        create_patience_s: Seconds after which an unclear create is not tried again for
            a learner who waits.
        gone_margin_s: Seconds for which the provider has to go on not knowing a
            session, past the session's end and since that was first seen.
        gone_look_s: Seconds between looks at one that it does not tell of.
        gone_looks_s: Seconds after which a payment that it does not know is not looked
            for any more.
        silent_s: Seconds past a session's end after which whatever fails is as good as
            an answer: no webhook of it comes any more either.
        silent_tries: Looks that have to fail before that.
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
    Return the longest that a row is in a status, if it leaves by itself.

    Args:
        stay: The status.
        *policies: What has the bounds that it names: a `SettlePolicy`, the settings.
    """
    if not stay.bounds:
        return None
    return sum(
        float(next(getattr(one, name) for one in policies if hasattr(one, name)))
        for name in stay.bounds
    )
