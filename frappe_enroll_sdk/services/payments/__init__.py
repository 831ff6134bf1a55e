# SPDX-License-Identifier: MIT
"""Payments: the provider's events, from the signature to their effect."""
