# SPDX-License-Identifier: MIT
"""Affiliates: their accounts, commissions and statements."""
