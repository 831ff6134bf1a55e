# SPDX-License-Identifier: MIT
"""What this package brings; importing it imports no driver."""

from collections.abc import Callable

from frappe_enroll_sdk.hookspecs import hookimpl


@hookimpl
def register_backends(register: Callable[[str, str, str], None]) -> None:
    """Register the LMS backend ``frappe``."""
    register("lms", "frappe", "frappe_enroll_lms.frappe:FrappeLMS")
