# SPDX-License-Identifier: MIT
"""The JSON schemas of requests and answers: validation and OpenAPI read the same."""

from __future__ import annotations

from typing import Any

from . import (
    affiliates,
    audit,
    checkout,
    coupons,
    enrollments,
    events,
    grants,
    jobs,
    parts,
    quarantine,
    reconcile,
    system,
)
from .parts import Schema


SCHEMAS: dict[str, Schema] = {
    **parts.SCHEMAS,
    **checkout.SCHEMAS,
    **enrollments.SCHEMAS,
    **coupons.SCHEMAS,
    **grants.SCHEMAS,
    **affiliates.SCHEMAS,
    **events.SCHEMAS,
    **jobs.SCHEMAS,
    **quarantine.SCHEMAS,
    **reconcile.SCHEMAS,
    **audit.SCHEMAS,
    **system.SCHEMAS,
}


def resolved(name: str) -> Schema:
    """Return a schema with its references filled in, for a validator."""
    found = _fill(SCHEMAS[name])
    return dict(found)


def _fill(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _fill(SCHEMAS[node["$ref"].rpartition("/")[2]])
        return {key: _fill(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(item) for item in node]
    return node
