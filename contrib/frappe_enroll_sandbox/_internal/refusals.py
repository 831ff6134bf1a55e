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
        message: Content of ``_server_messages``; "" = none.
        of_lms: Whether the LMS's code raises it, rather than Frappe's own.
        told: Content of ``_error_message``; "" = left out of the answer.
    """

    status: int
    exc_type: str
    message: str
    of_lms: bool = False
    told: str = ""


def forbidden(*, told: bool = False) -> FrappeRefusal:
    """Return the refusal for a missing permission; Frappe gives details for some."""
    words = "No permission"
    return FrappeRefusal(403, "PermissionError", words, told=words if told else "")
