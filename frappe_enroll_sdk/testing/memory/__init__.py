# SPDX-License-Identifier: MIT
"""Every store in this process's memory, for tests."""

from .storage import MemoryStorage


__all__ = ["MemoryStorage"]
