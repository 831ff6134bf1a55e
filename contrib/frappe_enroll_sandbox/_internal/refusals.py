# SPDX-License-Identifier: MIT
"""An error in Frappe's format."""

from __future__ import annotations

import attrs


@attrs.define
class FrappeRefusal(Exception):
    """An error in Frappe's format."""

    status: int
    exc_type: str
    message: str
