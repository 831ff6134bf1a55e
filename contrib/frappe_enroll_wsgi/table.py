# SPDX-License-Identifier: MIT
"""The one table of all routes."""

from __future__ import annotations

from .handlers import learner, machine
from .routes import resources_of


ROUTES = (*learner.ROUTES, *machine.ROUTES)
RESOURCES = resources_of(ROUTES)
