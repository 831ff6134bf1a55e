# SPDX-License-Identifier: MIT
"""Payments: verify, apply and replay the provider's events."""
