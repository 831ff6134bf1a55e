# SPDX-License-Identifier: MIT
"""Mails about what has happened, one per fact."""

__all__: tuple[str, ...] = ()
