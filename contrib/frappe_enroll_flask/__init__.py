# SPDX-License-Identifier: MIT
"""The Flask extension: the HTTP surface as blueprints of the host's application."""

from __future__ import annotations

from frappe_enroll_sdk.errors import MissingExtraError


try:
    import flask as _flask
except ImportError as error:  # the message is the command that fixes it
    raise MissingExtraError("flask", "Flask") from error

from ._blueprints import ADMIN_BLUEPRINT, LEARNER_BLUEPRINT, MACHINE_BLUEPRINT
from ._extension import FrappeEnroll, current_enroll


__all__ = [
    "ADMIN_BLUEPRINT",
    "LEARNER_BLUEPRINT",
    "MACHINE_BLUEPRINT",
    "FrappeEnroll",
    "current_enroll",
]
del _flask
