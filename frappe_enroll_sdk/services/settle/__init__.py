# SPDX-License-Identifier: MIT
"""Settle: decide from the facts what an enrollment needs, and do it."""
