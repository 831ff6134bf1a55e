# SPDX-License-Identifier: MIT
"""Prometheus metrics: pass `PrometheusMetrics()` to the SDK and serve `render`."""

from .prometheus import PrometheusMetrics


__all__ = ["PrometheusMetrics"]
