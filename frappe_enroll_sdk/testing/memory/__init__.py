# SPDX-License-Identifier: MIT
"""All stores in memory, for tests."""

from .storage import MemoryStorage


__all__ = ["MemoryStorage"]
