# SPDX-License-Identifier: MIT
"""
Exempt two blueprints from Flask-WTF's CSRF protection.

Webhooks and cron calls come from machines with their own secrets, and the admin surface
has its own protection against cross-site requests. The learners' routes stay protected.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from ._blueprints import ADMIN_BLUEPRINT, MACHINE_BLUEPRINT


def exempt(app: Flask) -> None:
    """Exempt our blueprints if the application uses Flask-WTF's `CSRFProtect`."""
    protect: Any = app.extensions.get("csrf")
    if hasattr(protect, "exempt"):
        for name in (MACHINE_BLUEPRINT, ADMIN_BLUEPRINT):
            protect.exempt(app.blueprints[name])
