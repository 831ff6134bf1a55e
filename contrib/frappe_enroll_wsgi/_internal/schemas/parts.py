# SPDX-License-Identifier: MIT
"""Building blocks of JSON schemas: texts, moments, money, records, pages."""

from __future__ import annotations

from typing import Any


Schema = dict[str, Any]

EMAIL = (
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"
)
#: Text for people: not blank, no control characters. Blanks come first, then a
#: non-blank; the two classes are disjoint, so matching never backtracks.
_STEERS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
PRINTABLE = rf"^[^\S{_STEERS}]*[^\s{_STEERS}][^{_STEERS}]*$"
#: An id of ours or of the provider in a path.
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
    """Return a schema that also allows null."""
    return {**schema, "type": [schema["type"], "null"]}


def words(kind: Any) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": [str(word) for word in kind]}


def ref(name: str) -> Schema:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: dict[str, Schema], *, closed: bool = True) -> Schema:
    """Return the schema of an object with all of these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": not closed,
    }


def request(properties: dict[str, Schema], *required: str) -> Schema:
    """Return the schema of a request body; other properties are refused."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def page(name: str) -> Schema:
    """Return the schema of a page of records."""
    return record(
        {
            "items": {"type": "array", "items": ref(name)},
            "next_cursor": MAYBE_TEXT,
            "unreadable": {"type": "array", "items": TEXT},
        }
    )


TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MOMENT: Schema = {"type": "string", "format": "date-time", "maxLength": 64}
MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
EMAIL_TEXT: Schema = {"type": "string", "maxLength": 140, "pattern": EMAIL}
MONEY = ref("Money")
PRICES = {"price": MONEY, "discount": MONEY, "amount": MONEY}
NAME_TEXT: Schema = {"type": "string", "pattern": NAME, "maxLength": 140}
DAYS: Schema = {"type": "integer", "minimum": 1, "maximum": 3650}
#: Rows of one page; below, the events or jobs of one request.
LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 200}
LARGE_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}
#: A percentage in a dashboard form.
PERCENT_TEXT: Schema = {"type": "string", "maxLength": 2, "pattern": "^[1-9][0-9]?$"}
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
