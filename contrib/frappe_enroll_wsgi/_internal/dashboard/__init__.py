# SPDX-License-Identifier: MIT
"""The dashboard: server-rendered pages that work without JavaScript."""

from __future__ import annotations

from . import (
    affiliates,
    audit,
    coupons,
    enrollments,
    events,
    grants,
    jobs,
    quarantine,
    reconcile,
    sign_in,
    system,
)


ROUTES = (
    *enrollments.ROUTES,
    *coupons.ROUTES,
    *grants.ROUTES,
    *affiliates.ROUTES,
    *events.ROUTES,
    *jobs.ROUTES,
    *quarantine.ROUTES,
    *reconcile.ROUTES,
    *audit.ROUTES,
    *system.ROUTES,
    *sign_in.ROUTES,
)
