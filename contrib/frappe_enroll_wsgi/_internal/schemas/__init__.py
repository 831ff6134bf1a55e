# SPDX-License-Identifier: MIT
"""JSON schemas of requests and answers, for validation and OpenAPI."""

from __future__ import annotations

from typing import Any

from frappe_enroll_sdk.models import GrantStatus, JobState, Kind, LMSStatus, Status

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
from .parts import Schema, maybe, text, words


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
#: Common parts of schemas, by their names in the OpenAPI document.
NAMED: dict[str, Schema] = {
    "Text140": text(),
    "Text255": text(255),
    "Text500": text(500),
    "MaybeText140": maybe(text()),
    "URL": maybe(text(2000)),
    "Moment": parts.MOMENT,
    "MaybeMoment": parts.MAYBE_MOMENT,
    "EmailAddress": parts.EMAIL_TEXT,
    "CouponCode": parts.CODE_TEXT,
    "Currency": parts.CURRENCY,
    "Name": parts.NAME_TEXT,
    "Percent": parts.PERCENT,
    "WholePercent": parts.PERCENT_TEXT,
    "Seats": parts.SEATS,
    "Days": parts.DAYS,
    "Limit": parts.LIMIT,
    "LargeLimit": parts.LARGE_LIMIT,
    "Kind": words(Kind),
    "Status": words(Status),
    "LMSStatus": words(LMSStatus),
    "JobState": words(JobState),
    "GrantStatus": words(GrantStatus),
}


def resolved(name: str) -> Schema:
    """Return a schema with its references resolved, for a validator."""
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
