# SPDX-License-Identifier: MIT
"""Lists as Frappe makes them: filters, fields, order; no HTTP here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from .lms_doctypes import COMMON, FIELDS, columns_of
from .refusals import FrappeRefusal


Json = dict[str, Any]


def filters_of(told: Any) -> list[list[Any]]:
    """Return filters as lists; a dict's values are equal, or ``[operator, value]``."""
    if not isinstance(told, dict):
        return list(told)
    return [
        [name, *value] if isinstance(value, list) else [name, "=", value]
        for name, value in told.items()
    ]


def select(
    doctype: str, rows: Iterable[Json], filters: Any, order_by: str | None
) -> list[Json]:
    """Return the rows that match all filters, in order."""
    wanted = filters_of(filters)
    found = [row for row in rows if all(_fits(doctype, row, one) for one in wanted)]
    for part in reversed((order_by or "modified desc").split(",")):
        field, _, direction = part.strip().strip("`").partition(" ")
        _require(doctype, field)
        found.sort(key=partial(_value, field=field), reverse=direction == "desc")
    return found


def _value(row: Json, field: str) -> str:
    return str(row.get(field))


def cut(doctype: str, rows: list[Json], fields: Any) -> list[Json]:
    """Return the requested fields; lists include null ones."""
    if fields in (["*"], "*", '"*"'):
        names = [*COMMON, *FIELDS[doctype]]
    else:
        names = [str(field) for field in fields]
        for name in names:
            _require(doctype, name)
    defaults = FIELDS[doctype]
    return [{name: row.get(name, defaults.get(name)) for name in names} for row in rows]


def _require(doctype: str, field: str) -> None:
    if field not in columns_of(doctype):
        message = f"Unknown column '{field}' in 'field list'"
        raise FrappeRefusal(417, "DataError", message)


def _like(mine: Any, value: Any) -> bool:
    pattern = ".*".join(re.escape(part) for part in str(value).split("%"))
    return re.fullmatch(pattern, str(mine), re.IGNORECASE) is not None


def _text(value: Any) -> str:
    return str(value).lower()


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda mine, value: _text(mine) == _text(value),
    "!=": lambda mine, value: _text(mine) != _text(value),
    ">": lambda mine, value: str(mine) > str(value),
    "<": lambda mine, value: str(mine) < str(value),
    ">=": lambda mine, value: str(mine) >= str(value),
    "<=": lambda mine, value: str(mine) <= str(value),
    "like": _like,
    "not like": lambda mine, value: not _like(mine, value),
    "in": lambda mine, values: _text(mine) in _each(values),
    "not in": lambda mine, values: _text(mine) not in _each(values),
    "is": lambda mine, value: (mine is not None) is (value == "set"),
}


def _each(values: Any) -> set[str]:
    listed = values if isinstance(values, list) else str(values).split(",")
    return {_text(value).strip() for value in listed}


def _fits(doctype: str, row: Json, condition: list[Any]) -> bool:
    field, operator, value = condition[-3:]
    fits = _OPERATORS.get(str(operator).lower())
    if fits is None:
        raise FrappeRefusal(
            417, "ValidationError", f"Operator must be another: {operator}"
        )
    if len(condition) > 3 and condition[0] != doctype:
        # A field of a child table: matches if any of its rows does.
        return any(
            fits(one.get(field), value) for one in row.get(f"_{condition[0]}", ())
        )
    _require(doctype, field)
    default = FIELDS[doctype].get(field, COMMON.get(field))
    return fits(row.get(field, default), value)
