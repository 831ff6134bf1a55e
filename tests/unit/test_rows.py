# SPDX-License-Identifier: MIT
"""Conditional writes: stamps against versions, guesses, slots, turns, forks."""

from __future__ import annotations

import os
import threading

import pytest

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import ConflictError, SchemaError, UnclearWriteError
from frappe_enroll_sdk.interfaces.tables import Query, Row, Swap
from frappe_enroll_sdk.stores.layout import SEATS
from frappe_enroll_sdk.stores.records import Changes
from frappe_enroll_sdk.stores.rows import NOTHING, Port, Rows, SlotTakenError
from frappe_enroll_sdk.testing.memory import MemoryTables


def rows_over(tables, **options):
    """Return rows of seats, the first two of which have a holder."""
    port = Port(tables, 1, SYSTEM, **{"takes_turns": True} | options)
    rows = Rows(port, SEATS)
    cells = {f"s{n}": {"code": "C", "holder": f"h{n}", "state": "held"} for n in (0, 1)}
    if rows.one("s0") is None:
        assert rows.insert(cells) == [True, True]
    return rows


def test_stamp_of_an_earlier_write_is_not_this_one():
    """A row that we wrote before carries our stamp: its version tells."""
    rows = rows_over(MemoryTables())
    rows.port.stamp = lambda: "ours"
    assert rows.change("s0", lambda _: Changes({"until": 1})).op == "ours"
    row = rows.one("s0")
    taken = Changes({"holder": "h1"})
    with pytest.raises(SlotTakenError):
        rows.change("s0", lambda _: taken)
    with pytest.raises(SlotTakenError):
        rows.swap(row, taken)
    assert rows.swap(Row("s0", 1, "x", row.cells), Changes({"until": 2})) is None
    assert rows.one("s0").rev == 2


@pytest.mark.parametrize("guessed", [None, NOTHING], ids=["left", "nothing to change"])
def test_guess_that_wants_no_change_is_read_before_it_is_believed(guessed):
    """What a guess says of nothing is no news; what a read says is."""
    rows = rows_over(MemoryTables())
    stale = rows.one("s0")
    rows.change("s0", lambda _: Changes({"until": 5}))
    seen = []

    def change(row):
        seen.append(row.rev)
        return guessed if row.rev == stale.rev else Changes({"until": 6})

    assert rows.change("s0", change, guess=stale).cells["until"] == 6
    assert seen == [1, 2]


def test_right_guess_costs_no_read():
    """One trip."""
    verbs = []
    rows = rows_over(MemoryTables(step=verbs.append))
    guess, verbs[:] = rows.one("s0"), []
    assert rows.change("s0", lambda _: Changes({"until": 5}), guess=guess).rev == 2
    assert verbs == ["swap"]


def test_row_that_needs_no_change_is_written_where_reads_are_not_durable():
    """Its stamp alone."""
    tables = MemoryTables()
    rows = rows_over(tables)
    assert rows.confirm("s0").rev == 1
    tables.durable_reads = False
    assert rows.confirm("s0").rev == 2
    assert rows.confirm("none") is None


def test_answer_that_is_always_lost_is_told():
    """Neither doubled nor swallowed: the caller hears that it is unclear."""

    class Mute(MemoryTables):
        def swap(self, *args):
            super().swap(*args)
            raise UnclearWriteError

    rows = rows_over(MemoryTables())
    mute = rows_over(Mute(shared=rows.port.use()))
    rows.port.use()
    # The first run has written it: that is found without another answer.
    assert mute.change("s0", lambda _: Changes({"until": 5})).rev == 2
    with pytest.raises(UnclearWriteError) as caught:
        mute.swap(mute.one("s0"), Changes({"until": 6}))
    assert caught.value.unclear


def test_row_that_never_stands_still_is_a_conflict():
    """Whoever loses a hundred races says so."""
    tables = MemoryTables()
    rows = rows_over(tables)

    def change(row):
        tables.swap(SEATS, [Swap(row.key, row.rev, "rival", {})])
        return Changes({"until": 5})

    with pytest.raises(ConflictError):
        rows.change("s0", change)


def test_schema_is_looked_at_before_the_first_verb():
    """And again after `look_again`."""
    tables = MemoryTables()
    rows = rows_over(tables)

    def refuse(version):
        raise SchemaError(f"not {version}")

    tables.check_schema = refuse
    assert rows.one("s0") is not None
    rows.port.look_again()
    with pytest.raises(SchemaError, match="not 1"):
        rows.one("s0")


def test_each_walks_over_pages():
    """All rows of a query, each once."""
    rows = rows_over(MemoryTables())
    more = {f"t{n:04d}": {"code": "D", "lapses_at": n % 7} for n in range(450)}
    rows.insert(more)
    found = [row.key for row in rows.each(Query("takeable", {"code": "D"}))]
    assert sorted(found) == sorted(more)
    assert found == sorted(more, key=lambda key: (more[key]["lapses_at"], key))


def test_threads_take_turns():
    """Only one at a time is inside, and the next one comes in."""
    port = Port(MemoryTables(), 1, SYSTEM, takes_turns=True)
    inside, most = [], []

    def enter():
        with port.turn("gate"):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1] * 8


def test_forked_child_has_stamps_and_turns_of_its_own():
    """A turn that was taken in the parent keeps nobody waiting in the child."""
    port = Port(MemoryTables(), 1, SYSTEM, takes_turns=True)
    first = port.stamp()
    read, write = os.pipe()
    with port.turn("gate"):
        child = os.fork()
        if not child:
            with port.turn("gate"):
                os.write(write, port.stamp().encode())
            os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 100).decode()
    assert theirs
    assert theirs[:16] != first[:16]
