# SPDX-License-Identifier: MIT
"""Operators: search, change and repair by hand."""
