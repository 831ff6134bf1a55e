# SPDX-License-Identifier: MIT
"""What JSON schemas are made of: texts, moments, money, records, pages."""

from __future__ import annotations

from typing import Any


Schema = dict[str, Any]

EMAIL = (
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"
)
#: Text that a person reads: something in it, nothing that steers a terminal. Blanks
#: first, then what is none: the two share no character, so that there is one way to
#: read a text.
_STEERS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
PRINTABLE = rf"^[^\S{_STEERS}]*[^\s{_STEERS}][^{_STEERS}]*$"
#: A name of ours, or of the provider, in a path.
NAME = r"^[A-Za-z0-9:._@-]+$"
#: A coupon's code.
CODE_TEXT: Schema = {
    "type": "string",
    "maxLength": 64,
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$",
}
CURRENCY: Schema = {"type": "string", "maxLength": 3, "pattern": "^[a-z]{3}$"}


def text(most: int = 140, **more: Any) -> Schema:
    """Return the schema of a text."""
    words = {"minLength": 1, "maxLength": most, "pattern": PRINTABLE}
    return {"type": "string", **words, **more}


def maybe(schema: Schema) -> Schema:
    """Return a schema that takes null too."""
    return {**schema, "type": [schema["type"], "null"]}


def words(kind: Any) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": [str(word) for word in kind]}


def ref(name: str) -> Schema:
    """Return a reference to a schema of this module."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: dict[str, Schema], *, closed: bool = True) -> Schema:
    """Return the schema of an object whose properties are all there."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": not closed,
    }


def request(properties: dict[str, Schema], *required: str) -> Schema:
    """Return the schema of a request body: unknown names are refused."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def page(name: str) -> Schema:
    """Return the schema of a page of records."""
    return record(
        {"items": {"type": "array", "items": ref(name)}, "next_cursor": MAYBE_TEXT}
    )


TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MOMENT: Schema = {"type": "string", "format": "date-time", "maxLength": 64}
MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
EMAIL_TEXT: Schema = {"type": "string", "maxLength": 140, "pattern": EMAIL}
MONEY = ref("Money")
PRICES = {"price": MONEY, "discount": MONEY, "amount": MONEY}
REASON: Schema = text(500)
PERCENT: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 100}
SEATS: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
MAYBE_OBJECT: Schema = {"type": ["object", "null"]}


_PROBLEM = {
    "type": "object",
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "code": TEXT,
        "retryable": {"type": "boolean"},
        "field": TEXT,
        "errors": {
            "type": "array",
            "items": record({"path": TEXT, "problem": TEXT}),
        },
    },
    "required": ["type", "title", "status", "code", "retryable"],
    "additionalProperties": False,
}


SCHEMAS: dict[str, Schema] = {
    "Money": record(
        {
            "amount_minor": {"type": "integer", "minimum": 0},
            "currency": CURRENCY,
        }
    ),
    "Problem": _PROBLEM,
    "Items": record({"items": {"type": "array", "items": {"type": "object"}}}),
    "Reason": request({"reason": REASON}, "reason"),
}
