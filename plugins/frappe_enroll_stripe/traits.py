# SPDX-License-Identifier: MIT
"""What is Stripe's own, and no rule of the core."""

from __future__ import annotations

from datetime import timedelta

from frappe_enroll_sdk.models import PaymentTraits


# Stripe, "Supported currencies": minimum charge, in the units sent to Stripe.
MINIMUMS = {
    "usd": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50,
    "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200,
    "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip

TRAITS = PaymentTraits(
    session_blank="{CHECKOUT_SESSION_ID}",
    session_prefix="cs_",
    payment_prefix="pi_",
    event_prefix="evt_",
    # Stripe, "Events".
    events_kept=timedelta(days=30),
    minimums=MINIMUMS,
)
