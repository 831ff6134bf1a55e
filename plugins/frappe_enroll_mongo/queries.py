# SPDX-License-Identifier: MIT
"""Queries as filters, orders and hints: each is answered by the index that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.interfaces.tables import KEY

from .layout import LEAST, field_of, is_nullable


if TYPE_CHECKING:
    from frappe_enroll_sdk.interfaces.tables import Query, Table

    from .link import Document


def may_match(query: Query) -> bool:
    """Tell whether a query can match any rows."""
    return all(query.among.values())


def order_of(table: Table, query: Query) -> dict[str, Any]:
    """Return the order (last field, then key), and the index as a hint."""
    index, way = table.index(query.index), -1 if query.newest else 1
    last, hint = index.fields[-1], "_id_" if query.index == KEY else query.index
    fields = [field_of(last)] if index.unique else [field_of(last), "_id"]
    if index.unique and last in query.equal:
        return {"hint": hint}  # at most one row matches
    return {"sort": [(field, way) for field in dict.fromkeys(fields)], "hint": hint}


def filter_of(table: Table, query: Query) -> Document:
    """Return the filter, with what the planner needs to see that the index suffices."""
    where: dict[str, Document] = {}
    for operator, cells in (
        ("$eq", query.equal),
        ("$in", {name: sorted(those) for name, those in query.among.items()}),
        ("$nin", {name: sorted(those) for name, those in query.not_among.items()}),
    ):
        for name, value in cells.items():
            where.setdefault(field_of(name), {})[operator] = value
    last = table.index(query.index).fields[-1]
    if last in query.equal:
        return where
    span = where.setdefault(field_of(last), {})
    if query.high is not None:
        span["$lt"] = query.high
    if query.low is not None:
        span["$gte"] = query.low
    elif is_nullable(table, last):
        span["$gte"] = LEAST[table.column(last).kind]
    if not span:
        del where[field_of(last)]
    return where if query.after is None else {"$and": [where, _after(last, query)]}


def _after(last: str, query: Query) -> Document:
    cell, key = query.after or (None, "")
    beyond, field = "$lt" if query.newest else "$gt", field_of(last)
    if last == KEY:
        return {field: {beyond: key}}
    # The index uses the first bound; the second one breaks ties.
    ties = [{field: {beyond: cell}}, {"_id": {beyond: key}}]
    return {field: {f"{beyond}e": cell}, "$or": ties}
