# SPDX-License-Identifier: MIT
"""Prometheus metrics: pass `PrometheusMetrics()` to the SDK and serve `render`."""

from ._prometheus import PrometheusMetrics


__all__ = ["PrometheusMetrics"]
