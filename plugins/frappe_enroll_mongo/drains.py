# SPDX-License-Identifier: MIT
"""
Where the last take from a queue ended.

WiredTiger keeps the entries of rows that have left an index for a while, and who begins
at the index's front walks over all of them. So a take begins where the last one ended,
and every few seconds, or when that finds too little, at the front.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from frappe_enroll_sdk.clock import SYSTEM


if TYPE_CHECKING:
    from frappe_enroll_sdk.interfaces.tables import Cell, Query, Row, Table

#: Seconds after which a take starts at the index's front again.
_FRONT_EVERY_S = 2.0
#: Most queries with a mark; a worker uses only a few.
_MAX_MARKS = 64


@attrs.define
class _Mark:
    """
    Where takes by one query begin.

    Attributes:
        of: The table's name, and the index's last field.
        at: Where the last take ended; None = begin at the front.
        front_at: When a take last began at the front.
        set_back: How often it has been set back.
    """

    of: tuple[str, str]
    at: Any = None
    front_at: float = float("-inf")
    set_back: int = 0


class Marks:
    """
    The marks of this process's taking queries. Thread-safe.

    A wrong or forgotten mark costs time but is never an error.
    """

    def __init__(self) -> None:
        self._marks: dict[str, _Mark] = {}
        self._lock = threading.Lock()

    def _of(self, table: Table, query: Query) -> _Mark | None:
        index = table.index(query.index)
        if not index.drains or query.newest or query.low is not None or query.after:
            return None
        choice = repr((table.name, attrs.evolve(query, high=None)))
        with self._lock:
            if choice not in self._marks and len(self._marks) >= _MAX_MARKS:
                self._marks.clear()
            return self._marks.setdefault(choice, _Mark((table.name, index.fields[-1])))

    def page(
        self,
        read: Callable[[Table, Query, int], Sequence[Row]],
        table: Table,
        query: Query,
        limit: int,
    ) -> Sequence[Row]:
        """Return a query's first rows, from where the last ones were taken."""
        mark = self._of(table, query)
        if mark is None:
            return read(table, query, limit)
        begins, set_back, found = mark.at, mark.set_back, []
        if SYSTEM.monotonic() - mark.front_at > _FRONT_EVERY_S:
            begins = None
        if begins is not None:
            found = [*read(table, attrs.evolve(query, low=begins), limit)]
        if len(found) < limit:
            begins, found = None, [*read(table, query, limit)]
        with self._lock:
            if found and mark.set_back == set_back:
                mark.at = found[-1].cells.get(mark.of[1])
            if begins is None:
                mark.front_at = SYSTEM.monotonic()
        return found

    def expect(self, table: Table, written: Collection[Mapping[str, Cell]]) -> None:
        """Set marks back for rows that were written before them."""
        for index in table.indexes:
            field = index.fields[-1]
            if not index.drains or not self._marks:
                continue
            values: list[Any] = [cells.get(field) for cells in written]
            least = min((one for one in values if one is not None), default=None)
            if least is None:
                continue
            with self._lock:
                for mark in self._marks.values():
                    if mark.of == (table.name, field) and (
                        mark.at is None or least < mark.at
                    ):
                        mark.at = None if mark.at is None else least
                        mark.set_back += 1
