# SPDX-License-Identifier: MIT
"""The OpenAPI 3.1 document, made from the table of routes and the schemas."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import metadata
from typing import Any

from frappe_enroll_sdk import errors

from . import errors as http_errors
from .routing import Access, Area, Route
from .schemas import SCHEMAS
from .schemas.parts import NAME, Schema, ref


#: Problems that every route may answer.
_GENERAL = ("internal", "method_not_allowed", "storage_unavailable", "schema")
#: Status of the codes that have no class of their own.
_STATUS_OF = {
    "internal": 500,
    "not_found": 404,
    "method_not_allowed": 405,
    "length_required": 411,
    "request_entity_too_large": 413,
    "on_hold": 409,
    "payment_refused": 409,
    "plugin_failed": 503,
}
_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    Access.PUBLIC: [],
    Access.LEARNER: [{"enrollmentToken": []}],
    Access.PROVIDER: [],
    Access.SAME_ORIGIN: [],
    Access.CRON: [{"cronSecret": []}],
    Access.VIEWER: [{"adminToken": []}, {"adminCookie": []}],
    Access.OPERATOR: [{"adminToken": []}, {"adminCookie": []}],
}
_SCHEMES = {
    "enrollmentToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Enrollment-Token",
        "description": "The token that checkout returned.",
    },
    "cronSecret": {"type": "http", "scheme": "bearer"},
    "adminToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `frappe-enroll admin-token create`.",
    },
    "adminCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-frappe_enroll_admin",
        "description": "Over plain HTTP without the prefix.",
    },
}
_HEADERS: dict[str, Schema] = {
    "Retry-After": {"schema": {"type": "string"}},
    "RateLimit": {"schema": {"type": "string"}},
    "RateLimit-Policy": {"schema": {"type": "string"}},
}


def document(mount: str = "") -> dict[str, Any]:
    """Return the document for a surface that is mounted under a path."""
    return {**_document(), "servers": [{"url": mount or "/"}]}


@cache
def _document() -> dict[str, Any]:
    from .surface import ROUTES  # noqa: PLC0415  it holds a handler that asks us

    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
        for method in route.methods:
            paths.setdefault(path, {})[method.lower()] = operation(route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "frappe-enroll",
            "version": metadata.version("frappe-enroll-sdk"),
            "description": "From a coupon or a payment to a Frappe LMS enrollment.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": _SCHEMES},
    }


def operation(route: Route, method: str) -> dict[str, Any]:
    """Return one operation."""
    several = len(route.methods) > 1
    found: dict[str, Any] = {
        "operationId": f"{route.name}_{method.lower()}" if several else route.name,
        "summary": route.about,
        "tags": [str(route.area)],
        "security": _SECURITY[route.access],
        "responses": _responses(route),
    }
    parameters = _parameters(route)
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": ref(route.body)}}
        found["requestBody"] = {"required": True, "content": content}
    elif route.access is Access.PROVIDER:
        content = {"application/json": {"schema": {"type": "object"}}}
        found["requestBody"] = {"required": True, "content": content}
    elif route.form is not None:
        kind = "application/x-www-form-urlencoded"
        fields = {"properties": dict(route.form), "required": list(route.form)}
        schema = {"type": "object", **fields}
        found["requestBody"] = {
            "required": bool(route.form),
            "content": {kind: {"schema": schema}},
        }
    return found


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": NAME, "maxLength": 140},
        }
        for name in re.findall(r"<(?:\w+:)?(\w+)>", route.path)
    ]
    found += [
        {"name": name, "in": "query", "schema": dict(schema)}
        for name, schema in route.query.items()
    ]
    if route.idempotent:
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        schema["pattern"] = "^[!-~]+$"
        found.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return found


def _responses(route: Route) -> dict[str, Any]:
    found: dict[int, dict[str, Any]] = {
        status: _answer(status, name) for status, name in route.answers.items()
    }
    by_status: dict[int, list[str]] = {}
    for code in codes_of(route):
        by_status.setdefault(status_of(code), []).append(code)
    for status, codes in by_status.items():
        problem: Schema = {"schema": ref("Problem")}
        entry = found.setdefault(status, {"description": "", "content": {}})
        entry["content"] = {
            **entry.get("content", {}),
            "application/problem+json": problem,
        }
        if route.area is Area.DASHBOARD:
            entry["content"].setdefault("text/html", {"schema": {"type": "string"}})
        told = ", ".join(f"`{code}`" for code in sorted(codes))
        entry["description"] = f"{entry['description']} Codes: {told}.".strip()
        entry["x-codes"] = sorted(codes)
    for entry in found.values():
        entry["headers"] = _HEADERS
    return {str(status): found[status] for status in sorted(found)}


def _answer(status: int, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"description": _MEANING.get(status, "An answer.")}
    if "/" in name:
        entry["content"] = {name: {"schema": {"type": "string"}}}
    elif name:
        entry["content"] = {"application/json": {"schema": ref(name)}}
    return entry


_MEANING = {
    200: "Done.",
    201: "Opened.",
    202: "Received.",
    303: "Go on there.",
    503: "The store is down.",
}


def codes_of(route: Route) -> tuple[str, ...]:
    """Return every code that a route may answer."""
    codes = {*_GENERAL, *route.codes}
    guarded = route.access in {Access.CRON, Access.VIEWER, Access.OPERATOR}
    if guarded or "<" in route.path or route.name == "account":
        codes.add("not_found")
    if route.access in {Access.VIEWER, Access.OPERATOR}:
        codes |= {"unauthorized", "forbidden", "cross_site"}
    if route.body or route.query or route.idempotent or "<" in route.path:
        codes.add("validation")
    if route.body:
        codes |= {"unsupported_media_type"}
    if route.body or route.form is not None or route.access is Access.PROVIDER:
        codes |= {"length_required", "request_entity_too_large"}
    if route.idempotent:
        codes |= {"idempotency_mismatch", "in_progress"}
    if route.limit or guarded:
        codes.add("rate_limited")
    if route.area in {Area.ADMIN, Area.DASHBOARD}:
        codes.add("validation")
    return tuple(sorted(codes))


@cache
def _statuses() -> dict[str, int]:
    found = dict(_STATUS_OF)
    for module in (errors, http_errors):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, errors.EnrollError):
                found.setdefault(value.code, value.http_status)
    return found


def status_of(code: str) -> int:
    """Return the status that a code comes with."""
    return _statuses()[code]


def text_of(mount: str = "") -> str:
    """Return the document as it ships."""
    return json.dumps(document(mount), indent=1, ensure_ascii=False) + "\n"
