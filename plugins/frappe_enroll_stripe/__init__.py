# SPDX-License-Identifier: MIT
"""Stripe payments: hosted checkout sessions and signed webhooks."""

__all__: tuple[str, ...] = ()
