# SPDX-License-Identifier: MIT
"""
Records to documents and back.

Moments are BSON dates (milliseconds, UTC), enums and decimals their text, money
``{"amount_minor": …, "currency": …}``. What a record carries as free JSON (a payload, a
create request, a detail) is kept as JSON text: a key such as ``$set`` or ``a.b`` stays
a key, and a create request comes back byte for byte. None is an absent field, so that
no filter has to tell absent from null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from cattrs import Converter

from frappe_enroll_sdk.errors import ValidationError


T = TypeVar("T")
Document = dict[str, Any]

#: Before every moment that the SDK writes.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _json_of(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _mapping_of(value: Any) -> dict[str, Any]:
    data = json.loads(value)
    if not isinstance(data, dict):
        raise TypeError("not a JSON object")
    return data


def _moment_of(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("not a date")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


@cache
def _converter() -> Converter:
    converter = Converter(detailed_validation=False)
    free = Mapping[str, Any]
    converter.register_unstructure_hook_func(lambda kind: kind == free, _json_of)
    converter.register_structure_hook_func(
        lambda kind: kind == free, lambda value, _: _mapping_of(value)
    )
    converter.register_unstructure_hook(datetime, lambda moment: moment)
    converter.register_structure_hook(datetime, lambda value, _: _moment_of(value))
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    return converter


def to_document(record: Any) -> Document:
    """Return a record as a document; its None fields are left out."""
    fields = _converter().unstructure(record)
    return {name: value for name, value in fields.items() if value is not None}


def to_value(value: Any, kind: Any) -> Any:
    """Return one field's value (of this annotated kind) as it stands in a document."""
    return _converter().unstructure(value, unstructure_as=kind)


def of_document(kind: type[T], document: Mapping[str, Any]) -> T:
    """
    Return the record of a document; fields that the record does not know are ignored.

    Raises:
        ValidationError: The document is not of this kind.
    """
    try:
        return _converter().structure(document, kind)
    except Exception as error:
        raise ValidationError(
            f"not a {kind.__name__}: {type(error).__name__}", field=kind.__name__
        ) from error


def difference(before: Document, after: Document) -> Document:
    """Return the update that makes `after` of `before`: what is set, what is unset."""
    gone = {name: "" for name in before if name not in after and name != "_id"}
    new = {
        name: value
        for name, value in after.items()
        if name not in before or before[name] != value
    }
    update: Document = {}
    if new:
        update["$set"] = new
    if gone:
        update["$unset"] = gone
    return update
