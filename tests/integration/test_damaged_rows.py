# SPDX-License-Identifier: MIT
"""One damaged row of our own never hides the readable rest."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
from support.size import with_the_first_python
from support.world import World

from frappe_enroll_sql.storage import SQLStorage


@with_the_first_python
@pytest.mark.parametrize(
    "damage",
    [
        "history = '[]'",
        "amount_currency = 'no money'",
        "status = 'unheard of'",
        "override = 5",
        "price_minor = price_minor + 0",
    ],
)
def test_list_and_reconcile_go_on_beside_a_damaged_row(db_folder, damage):
    """Over pages of one, wherever it stands; it is reported, nothing else is."""
    path = db_folder / "store.sqlite3"
    world = World(lambda: SQLStorage(f"sqlite:///{path}"))
    names = []
    for number in range(3):
        names.append(
            world.sdk()
            .checkout(course_id="python-101", email=f"u{number}@x.example")
            .enrollment_id
        )
        world.clock.advance(1)
    with contextlib.closing(sqlite3.connect(path)) as file:
        write = f"UPDATE enrollments SET {damage} WHERE key = ?"  # noqa: S608  above
        file.execute(write, (names[1],))
        file.commit()
    found, unreadable, cursor = [], [], None
    while True:
        page = world.storage.enrollments.list(limit=1, cursor=cursor)
        found += [row.id for row in page.items]
        unreadable += page.unreadable
        cursor = page.next_cursor
        if cursor is None:
            break
    is_whole = "+ 0" in damage
    wanted = names[::-1] if is_whole else [names[2], names[0]]
    assert found == wanted
    assert [text.partition(": ")[0] for text in unreadable] == (
        [] if is_whole else [names[1]]
    )
    report = world.sdk().admin.reconcile()
    assert {f.subject for f in report.findings if f.difference == "unreadable"} == (
        set() if is_whole else {names[1]}
    )
