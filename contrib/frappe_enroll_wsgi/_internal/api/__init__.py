# SPDX-License-Identifier: MIT
"""The HTTP API: one module for each subject, with its handlers and routes."""

from __future__ import annotations

from . import (
    affiliates,
    audit,
    checkout,
    coupons,
    enrollments,
    events,
    grants,
    jobs,
    quarantine,
    reconcile,
    system,
)


ROUTES = (
    *checkout.ROUTES,
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
)
