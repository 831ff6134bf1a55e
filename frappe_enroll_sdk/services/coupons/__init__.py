# SPDX-License-Identifier: MIT
"""Coupons: what a code is worth, for whom, and how many are made at once."""
