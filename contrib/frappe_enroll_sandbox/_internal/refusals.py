# SPDX-License-Identifier: MIT
"""An error in Frappe's format."""

from __future__ import annotations

import attrs


@attrs.define
class FrappeRefusal(Exception):
    """
    An error in Frappe's format.

    Attributes:
        status: HTTP status.
        exc_type: Frappe's class.
        message: What ``_server_messages`` holds; "" = nothing.
        of_lms: Whether the LMS's code raises it and not Frappe's own.
        told: What ``_error_message`` holds; "" = the answer is without it.
    """

    status: int
    exc_type: str
    message: str
    of_lms: bool = False
    told: str = ""


def forbidden(*, told: bool = False) -> FrappeRefusal:
    """Return the refusal of a right; Frappe tells more of some."""
    words = "No permission"
    return FrappeRefusal(403, "PermissionError", words, told=words if told else "")
