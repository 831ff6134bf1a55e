# SPDX-License-Identifier: MIT
"""Affiliates: accounts, commissions, payouts and statements."""
