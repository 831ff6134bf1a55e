# SPDX-License-Identifier: MIT
"""Settle: what an enrollment is due, decided from facts, and done."""
