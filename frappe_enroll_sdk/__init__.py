# SPDX-License-Identifier: MIT
"""Turns a grant coupon or a payment into a Frappe LMS enrollment, exactly once."""

from . import errors
from .hookspecs import hookimpl
from .sdk import EnrollSDK
from .settings import Settings


__all__ = ["EnrollSDK", "Settings", "errors", "hookimpl"]
