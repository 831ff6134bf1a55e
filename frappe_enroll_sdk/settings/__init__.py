# SPDX-License-Identifier: MIT
"""The settings: what can be set, where it is read from, and how it is told."""

from .core import Settings


__all__ = ["Settings"]
