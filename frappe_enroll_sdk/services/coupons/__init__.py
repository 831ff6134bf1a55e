# SPDX-License-Identifier: MIT
"""Coupons: terms, prices, batches, and import and export."""
