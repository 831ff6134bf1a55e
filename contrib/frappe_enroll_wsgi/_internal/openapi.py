# SPDX-License-Identifier: MIT
"""
The OpenAPI 3.1 document, made from the routes and the schemas.

Each distinct response, parameter and request body is one component, as are the schemas
in `schemas.SCHEMAS` and `schemas.NAMED`; operations refer to them.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache, lru_cache
from importlib import metadata
from typing import Any

from frappe_enroll_sdk import errors

from . import errors as http_errors
from .routing import Access, Area, Route
from .schemas import NAMED, SCHEMAS
from .schemas.parts import NAME_TEXT, Schema, ref


#: Problems that every route may answer.
_GENERAL = ("internal", "method_not_allowed", "storage_unavailable", "schema")
#: Statuses of the codes without a class of their own.
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
        "description": "Over plain HTTP, the name has no `__Host-` prefix.",
    },
}
#: Headers that any answer may carry.
_HEADERS = ("Retry-After", "RateLimit", "RateLimit-Policy")
_MEANING = {
    200: "Success.",
    201: "Created.",
    202: "Accepted.",
    303: "See the Location header.",
    304: "Not modified.",
    503: "The store is down.",
}
#: Most codes in the name of a response; beyond that the route names it.
_MAX_NAMED = 3


def document(routes: tuple[Route, ...], mount: str = "") -> dict[str, Any]:
    """Return the document for routes that are mounted under a path."""
    return {**_document(routes), "servers": [{"url": mount or "/"}]}


def text_of(routes: tuple[Route, ...], mount: str = "") -> str:
    """Return the document as text."""
    return json.dumps(document(routes, mount), indent=1, ensure_ascii=False) + "\n"


@lru_cache(maxsize=8)
def served(routes: tuple[Route, ...], mount: str) -> tuple[bytes, str]:
    """Return the encoded document and its ETag."""
    body = json.dumps(document(routes, mount), ensure_ascii=False).encode()
    return body, hashlib.sha256(body).hexdigest()[:32]


@cache
def _document(routes: tuple[Route, ...]) -> dict[str, Any]:
    parts = _Components()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
        for method in route.methods:
            found = _operation(route, method, parts)
            paths.setdefault(path, {})[method.lower()] = found
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "frappe-enroll",
            "version": metadata.version("frappe-enroll-sdk"),
            "description": "From a coupon or a payment to a Frappe LMS enrollment.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            **parts.found,
            "headers": {name: {"schema": {"type": "string"}} for name in _HEADERS},
            "securitySchemes": _SCHEMES,
        },
    }


class _Components:
    """
    The components that operations refer to.

    Attributes:
        found: Components by their kind and name.
    """

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}

    def ref(
        self, kind: str, route: Route, name: str, part: dict[str, Any]
    ) -> dict[str, str]:
        """Return a reference to a component; a taken name gets a prefix."""
        part = _named(part)
        shape = f"{kind} {json.dumps(part, sort_keys=True)}"
        if shape not in self._names:
            taken = self.found.setdefault(kind, {})
            name = re.sub(r"[^A-Za-z0-9._-]", "-", name)
            if name in taken:
                name = f"{route.name}.{name}"
            taken[name] = part
            self._names[shape] = name
        return {"$ref": f"#/components/{kind}/{self._names[shape]}"}


def _schemas() -> dict[str, Schema]:
    """Return all named schemas, referring to one another."""
    parts = {name: {k: _named(v) for k, v in s.items()} for name, s in NAMED.items()}
    return parts | {name: _named(schema) for name, schema in SCHEMAS.items()}


@cache
def _names() -> dict[str, str]:
    return {json.dumps(s, sort_keys=True): name for name, s in NAMED.items()}


def _named(node: Any) -> Any:
    """Return a part of the document with its named schemas replaced by references."""
    if isinstance(node, list):
        return [_named(item) for item in node]
    if not isinstance(node, dict):
        return node
    name = _names().get(json.dumps(node, sort_keys=True))
    return ref(name) if name else {key: _named(value) for key, value in node.items()}


def _operation(route: Route, method: str, parts: _Components) -> dict[str, Any]:
    several = len(route.methods) > 1
    found: dict[str, Any] = {
        "operationId": f"{route.name}_{method.lower()}" if several else route.name,
        "summary": route.about,
        "tags": [str(route.area)],
        "security": _SECURITY[route.access],
        "responses": _responses(route, parts),
    }
    if parameters := _parameters(route):
        found["parameters"] = [
            parts.ref("parameters", route, one["name"], one) for one in parameters
        ]
    if (body := _body(route)) is not None:
        found["requestBody"] = parts.ref(
            "requestBodies", route, route.body or route.name, body
        )
    return found


def _body(route: Route) -> dict[str, Any] | None:
    if route.body is not None or route.access is Access.PROVIDER:
        schema = ref(route.body) if route.body else {"type": "object"}
        return {"required": True, "content": {"application/json": {"schema": schema}}}
    if route.form is None:
        return None
    fields = {"properties": dict(route.form), "required": list(route.form)}
    content = {
        "application/x-www-form-urlencoded": {"schema": {"type": "object"} | fields}
    }
    return {"required": bool(route.form), "content": content}


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": NAME_TEXT,
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


def _responses(route: Route, parts: _Components) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {status: [] for status in route.answers}
    for code in codes_of(route):
        by_status.setdefault(status_of(code), []).append(code)
    return {
        str(status): parts.ref(
            "responses",
            route,
            _name_of(route, status, by_status[status]),
            _response(route, status, by_status[status]),
        )
        for status in sorted(by_status)
    }


def _name_of(route: Route, status: int, codes: list[str]) -> str:
    words = [route.answers[status]] if route.answers.get(status) else []
    if codes and route.area is Area.DASHBOARD:
        words.append("page")
    words += codes if len(codes) <= _MAX_NAMED else [route.name]
    return ".".join([str(status), *words])


def _response(route: Route, status: int, codes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": ""}
    content: dict[str, Any] = {}
    if status in route.answers:
        name = route.answers[status]
        found["description"] = _MEANING.get(status, "Success.")
        if "/" in name:
            content[name] = {"schema": {"type": "string"}}
        elif name:
            content["application/json"] = {"schema": ref(name)}
    if codes:
        content["application/problem+json"] = {"schema": ref("Problem")}
        if route.area is Area.DASHBOARD:
            content.setdefault("text/html", {"schema": {"type": "string"}})
        listed = ", ".join(f"`{code}`" for code in codes)
        found["description"] = f"{found['description']} Codes: {listed}.".strip()
        found["x-codes"] = codes
    if content:
        found["content"] = content
    found["headers"] = {n: {"$ref": f"#/components/headers/{n}"} for n in _HEADERS}
    return found


def codes_of(route: Route) -> tuple[str, ...]:
    """Return every problem code that a route may return."""
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
    """Return the HTTP status of a code."""
    return _statuses()[code]
