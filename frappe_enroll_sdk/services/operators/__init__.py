# SPDX-License-Identifier: MIT
"""Operators: what a person may look at, change and mend."""
