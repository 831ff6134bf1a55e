# SPDX-License-Identifier: MIT
"""An error as Frappe answers it."""

from __future__ import annotations

import attrs


@attrs.define
class FrappeRefusal(Exception):
    """An error as Frappe answers it."""

    status: int
    exc_type: str
    message: str
