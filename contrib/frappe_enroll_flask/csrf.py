# SPDX-License-Identifier: MIT
"""
Flask-WTF's CSRF protection leaves two blueprints alone.

Webhooks and cron calls come from machines with secrets of their own; the admin surface
has its own rule against other sites' requests. The learners' routes stay protected.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from .blueprints import ADMIN_BLUEPRINT, MACHINE_BLUEPRINT


def exempt(app: Flask) -> None:
    """Exempt our blueprints where Flask-WTF's `CSRFProtect` is in use."""
    protect: Any = app.extensions.get("csrf")
    if hasattr(protect, "exempt"):
        for name in (MACHINE_BLUEPRINT, ADMIN_BLUEPRINT):
            protect.exempt(app.blueprints[name])
