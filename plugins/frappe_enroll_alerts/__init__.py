# SPDX-License-Identifier: MIT
"""Alerts and dead letters for operators: into the log, and to a signed webhook."""

__all__: tuple[str, ...] = ()
