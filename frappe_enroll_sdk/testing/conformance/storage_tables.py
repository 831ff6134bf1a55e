# SPDX-License-Identifier: MIT
"""The port itself: what `Tables` answer, by the tables that are declared."""

from __future__ import annotations

from typing import Any

import pytest

from ...interfaces import Storage
from ...interfaces.tables import KEY, Cell, Query, Row, Swap, TakingTables
from ...stores.layout import AUDIT, COUPONS, ENROLLMENTS, GATES, JOBS, SEATS
from ...stores.seats import GIVE_BACK, held, key_of
from .lossy import tables_of
from .records import NOW, after, enrollment


def _seat(number: int, holder: str | None = None, lapses_at: int = 5) -> Row:
    cells = held("C", holder or "", NOW, after(1)) | {"lapses_at": lapses_at}
    return Row(key_of("C", number), 1, "op", cells | {"holder": holder})


def _audit(key: str, at: int, subject: str = "s") -> Row:
    texts = dict.fromkeys(("actor", "action", "reason"), "")
    return Row(key, 1, "op", {**texts, "detail": "{}", "subject": subject, "at": at})


def _keys(found: Any) -> list[str]:
    return [row.key for row in found]


class TableChecks:
    """Rows by key and by index, each written by itself."""

    def test_cells_come_back_as_they_were_written(self, storage: Storage):
        """Every kind, its extremes, and nulls."""
        tables = tables_of(storage)
        text = "ä\u2028\U0001f600 '\"\\%_$.\r\n " * 20_000
        cells: dict[str, Cell] = {"retry_at": -(2**63), "tokens": 0.1, "permits": text}
        rows = [
            Row("Ä ", 1, "op", cells),
            Row("ä", 1, "op", {"filled_at": 2**63 - 1, "permits": ""}),
        ]
        assert [*tables.insert(GATES, rows)] == [True, True]
        found = {row.key: row for row in tables.get(GATES, ["ä", "Ä ", "none"])}
        assert set(found) == {"Ä ", "ä"}
        for row in rows:
            stands = found[row.key]
            assert (stands.rev, stands.op) == (1, "op")
            wanted = {"retry_at": None, "tokens": None, "filled_at": None, **row.cells}
            assert {n: stands.cells.get(n) for n in wanted} == wanted
        assert [*tables.get(GATES, [])] == []

    def test_insert_is_refused_row_by_row(self, storage: Storage):
        """A key or a slot that is taken, in the table or in the call."""
        tables = tables_of(storage)
        assert [*tables.insert(SEATS, [_seat(0, "a")])] == [True]
        rows = [
            _seat(0, "b"),
            _seat(1, "a"),
            _seat(2, "c"),
            _seat(3, "c"),
            _seat(4),
            _seat(5),
        ]
        told = [*tables.insert(SEATS, rows)]
        assert told == [False, False, True, False, True, True]
        found = tables.page(SEATS, Query("takeable", {"code": "C"}), 10)
        assert _keys(found) == [key_of("C", n) for n in (0, 2, 4, 5)]
        assert [*tables.insert(SEATS, [])] == []

    def test_swap_is_done_where_the_version_stands(self, storage: Storage):
        """Changed cells only; a stale version, a missing row and a slot refuse it."""
        tables = tables_of(storage)
        tables.insert(SEATS, [_seat(0, "a"), _seat(1, "b"), _seat(2)])
        first, second, third = (key_of("C", number) for number in range(3))
        swaps = [
            Swap(first, 1, "new", {"until": 7}),
            Swap(second, 2, "new", {"until": 7}),
            Swap(third, 1, "new", {"holder": "a"}),
            Swap("none", 1, "new", {"until": 7}),
        ]
        assert [*tables.swap(SEATS, swaps)] == [True, False, False, False]
        rows = {row.key: row for row in tables.get(SEATS, [first, second, third])}
        assert [(rows[k].rev, rows[k].op) for k in (first, second, third)] == [
            (2, "new"),
            (1, "op"),
            (1, "op"),
        ]
        assert rows[first].cells["until"] == 7
        assert rows[first].cells["holder"] == "a"
        assert rows[third].cells.get("holder") is None
        assert [*tables.swap(SEATS, [Swap(first, 2, "x", {})])] == [True]
        assert next(iter(tables.get(SEATS, [first]))).rev == 3

    def test_swap_changes_each_in_its_own_way(self, storage: Storage):
        """Equal and different changes in one call, more than one statement takes."""
        tables, count = tables_of(storage), 1200
        tables.insert(AUDIT, [_audit(f"a-{n:04d}", n) for n in range(count)])
        swaps = [
            Swap(f"a-{n:04d}", 1, "new", {"at": 5} if n % 2 else {"reason": f"r{n}"})
            for n in range(count)
        ]
        assert [*tables.swap(AUDIT, swaps)] == [True] * count
        found = tables.page(AUDIT, Query(KEY), 2 * count)
        assert len(found) == count
        assert {row.rev for row in found} == {2}
        for n, row in enumerate(found):
            own = (5, "") if n % 2 else (n, f"r{n}")
            assert (row.cells["at"], row.cells["reason"]) == own
        keys = [f"a-{n:04d}" for n in range(count)]
        assert sorted(_keys(tables.get(AUDIT, keys))) == keys
        assert tables.delete(AUDIT, dict.fromkeys(keys, 2)) == count

    def test_null_gives_a_slot_back(self, storage: Storage):
        """A row with a null in an index is not in it, and keeps nobody out."""
        tables = tables_of(storage)
        tables.insert(SEATS, [_seat(0, "a"), _seat(1)])
        given = Swap(key_of("C", 0), 1, "new", GIVE_BACK)
        assert [*tables.swap(SEATS, [given])] == [True]
        taken = Swap(key_of("C", 1), 1, "new", {"holder": "a"})
        assert [*tables.swap(SEATS, [taken])] == [True]
        found = tables.page(SEATS, Query("holder", {"code": "C", "holder": "a"}), 9)
        assert _keys(found) == [key_of("C", 1)]

    def test_lines_only_grow(self, storage: Storage):
        """A swap appends; what was there stays, byte for byte."""
        row = enrollment()
        storage.enrollments.open(row)
        tables = tables_of(storage)
        before = next(iter(tables.get(ENROLLMENTS, [row.id]))).cells["history"]
        more = ('{"a":"\u2028"}', "x\ny", "")
        swap = Swap(row.id, 1, "new", {"tries": 3}, {"history": more})
        assert [*tables.swap(ENROLLMENTS, [swap])] == [True]
        after_it = next(iter(tables.get(ENROLLMENTS, [row.id]))).cells
        assert isinstance(before, tuple)
        assert (after_it["history"], after_it["tries"]) == ((*before, *more), 3)

    def test_rows_are_deleted_where_their_version_stands(self, storage: Storage):
        """And counted."""
        tables = tables_of(storage)
        tables.insert(AUDIT, [_audit("a", 1), _audit("b", 2)])
        assert tables.delete(AUDIT, {"a": 1, "b": 2, "c": 1}) == 1
        assert _keys(tables.page(AUDIT, Query(KEY), 9)) == ["b"]
        assert tables.delete(AUDIT, {}) == 0

    def test_page_is_in_the_order_of_its_index(self, storage: Storage):
        """By the last field and by key, byte by byte, either way round."""
        tables = tables_of(storage)
        rows = [_audit(key, at) for key, at in (("b", 1), ("B", 1), ("ä", 1), ("a", 0))]
        tables.insert(AUDIT, [*rows, _audit("z", 9, subject="other")])
        query = Query("by_subject", {"subject": "s"})
        order = ["a", "B", "b", "ä"]
        assert _keys(tables.page(AUDIT, query, 9)) == order
        assert _keys(tables.page(AUDIT, query, 2)) == order[:2]
        assert [*tables.page(AUDIT, query, 0)] == []
        newest = Query("by_subject", {"subject": "s"}, newest=True)
        assert _keys(tables.page(AUDIT, newest, 9)) == order[::-1]
        for end, way in ((query, order), (newest, order[::-1])):
            for place, key in enumerate(way):
                at = 0 if key == "a" else 1
                rest = Query(end.index, end.equal, after=(at, key), newest=end.newest)
                assert _keys(tables.page(AUDIT, rest, 9)) == way[place + 1 :]

    def test_page_is_bounded_by_its_last_field(self, storage: Storage):
        """From `low` on, up to but not including `high`."""
        tables = tables_of(storage)
        tables.insert(AUDIT, [_audit(f"a{n}", n) for n in range(6)])
        for low, high, wanted in ((2, 4, "23"), (None, 2, "01"), (4, None, "45")):
            query = Query("newest", low=low, high=high)
            assert _keys(tables.page(AUDIT, query, 9)) == [f"a{n}" for n in wanted]
            assert [*tables.count(AUDIT, [query], 9)] == [2]
        rest = Query("newest", low=1, high=4, after=(1, "a1"))
        assert _keys(tables.page(AUDIT, rest, 9)) == ["a2", "a3"]
        rest = Query("newest", low=1, high=4, after=(3, "a3"), newest=True)
        assert _keys(tables.page(AUDIT, rest, 9)) == ["a2", "a1"]
        keys = Query(KEY, low="a1", high="a3")
        assert _keys(tables.page(AUDIT, keys, 9)) == ["a1", "a2"]
        after_key = Query(KEY, after=("a3", "a3"))
        assert _keys(tables.page(AUDIT, after_key, 9)) == ["a4", "a5"]

    def test_page_by_an_index_that_ends_with_the_key(self, storage: Storage):
        """Its last field is the key."""
        storage.coupons.create_many([])
        tables = tables_of(storage)
        cells: dict[str, Cell] = {"percent_off": "5", "course_id": "c"}
        cells |= dict.fromkeys(
            ("max_redemptions", "disabled", "created_at", "issued", "complete"), 1
        )
        rows = [Row(key, 1, "op", cells) for key in ("A-1", "AB-1", "AB-2", "AC")]
        rows.append(Row("AB-3", 1, "op", cells | {"course_id": None}))
        tables.insert(COUPONS, rows)
        query = Query("by_course", {"course_id": "c"}, low="AB", high="AB\x7f")
        assert _keys(tables.page(COUPONS, query, 9)) == ["AB-1", "AB-2"]
        rest = Query("by_course", {"course_id": "c"}, after=("AB-1", "AB-1"))
        assert _keys(tables.page(COUPONS, rest, 9)) == ["AB-2", "AC"]

    def test_filters_narrow_a_page(self, storage: Storage):
        """Equal beside the index, among, and not among; no values give no rows."""
        for number, kind in enumerate(("sync", "mail", "sync", "pair")):
            storage.jobs.enqueue(f"j{number}", kind, {}, after(number), now=NOW)
        tables = tables_of(storage)
        for more, wanted in (
            ({"equal": {"kind": "sync"}}, ["j0", "j2"]),
            ({"among": {"kind": {"mail", "pair"}}}, ["j1", "j3"]),
            ({"not_among": {"kind": {"mail", "pair"}}}, ["j0", "j2"]),
            ({"among": {"kind": ()}}, []),
            ({"not_among": {"kind": ()}}, ["j0", "j1", "j2", "j3"]),
        ):
            query = Query("claimable", **more)
            assert _keys(tables.page(JOBS, query, 9)) == wanted
            assert [*tables.count(JOBS, [query], 9)] == [len(wanted)]

    def test_counts_are_capped_each_by_itself(self, storage: Storage):
        """Many queries in one call, in their order."""
        tables = tables_of(storage)
        tables.insert(AUDIT, [_audit(f"a{n}", n, f"s{n % 3}") for n in range(10)])
        queries = [Query("by_subject", {"subject": f"s{n}"}) for n in range(4)] * 20
        assert [*tables.count(AUDIT, queries, 3)] == [3, 3, 3, 0] * 20
        assert [*tables.count(AUDIT, queries, 100)] == [4, 3, 3, 0] * 20
        assert [*tables.count(AUDIT, [], 3)] == []

    def test_rows_are_taken_once(self, storage: Storage):
        """Where rows can be taken under locks: in their order, as written."""
        tables = tables_of(storage)
        if not isinstance(tables, TakingTables):
            pytest.skip("takes no rows under locks")
        tables.insert(AUDIT, [_audit(f"a{n}", n) for n in range(4)])

        def make(row: Row) -> Swap:
            return Swap(row.key, row.rev, "taken", {"at": 100})

        due = Query("newest", high=100)
        assert _keys(tables.take(AUDIT, due, 3, make)) == ["a0", "a1", "a2"]
        assert _keys(tables.take(AUDIT, due, 3, make)) == ["a3"]
        assert [*tables.take(AUDIT, due, 3, make)] == []
        assert {row.rev for row in tables.page(AUDIT, Query(KEY), 9)} == {2}
