# SPDX-License-Identifier: MIT
"""Metrics for Prometheus: hand `PrometheusMetrics()` to the SDK, serve `render`."""

from .prometheus import PrometheusMetrics


__all__ = ["PrometheusMetrics"]
