# SPDX-License-Identifier: MIT
"""Every store in this process's memory, for tests."""

from .storage import MemoryStorage
from .tables import MemoryTables


__all__ = ["MemoryStorage", "MemoryTables"]
