# SPDX-License-Identifier: MIT
"""Settings: the options, their sources, and how they are shown."""

from .core import Settings


__all__ = ["Settings"]
