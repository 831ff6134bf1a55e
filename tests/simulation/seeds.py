# SPDX-License-Identifier: MIT
"""Seeds that have found something: each is played again with every run."""

from __future__ import annotations


#: Seed → what it found.
FOUND: dict[int, str] = {}
