# SPDX-License-Identifier: MIT
"""The one table of all routes."""

from __future__ import annotations

from .dashboard import business_routes
from .dashboard import routes as dashboard
from .handlers import (
    admin,
    admin_business,
    admin_changes,
    admin_quarantine,
    grants,
    learner,
    machine,
)
from .routes import resources_of


ROUTES = (
    *learner.ROUTES,
    *grants.ROUTES,
    *machine.ROUTES,
    *admin.ROUTES,
    *admin_quarantine.ROUTES,
    *admin_changes.ROUTES,
    *admin_business.ROUTES,
    *dashboard.ROUTES,
    *business_routes.ROUTES,
)
RESOURCES = resources_of(ROUTES)
