# SPDX-License-Identifier: MIT
"""All stores in memory, for tests."""

from .storage import MemoryStorage
from .tables import MemoryTables


__all__ = ["MemoryStorage", "MemoryTables"]
