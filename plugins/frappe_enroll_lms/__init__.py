# SPDX-License-Identifier: MIT
"""Frappe LMS through frappe-client, fenced: time-outs, status first, typed errors."""

__all__: tuple[str, ...] = ()
