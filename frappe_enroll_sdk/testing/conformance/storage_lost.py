# SPDX-License-Identifier: MIT
"""What every verb keeps when an answer is lost, or somebody else is just faster."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import attrs
import pytest

from ...clock import FakeClock
from ...errors import UnclearWriteError
from ...interfaces import Storage
from ...interfaces.tables import KEY, Query, Tables
from ...models import Job, ReserveOutcome, Status
from ...stores.layout import TABLES
from ..memory import MemoryStorage
from . import races
from .lossy import Loses, Rival, over, tables_of
from .records import NOW, after, coupon, enrollment, entry
from .verbs import VERBS, fill


_CLAIMED = "claimed"
_STORES = sorted({name.partition(".")[0] for name in VERBS})


def _plain(answer: Any) -> Any:
    """Return an answer without its random parts."""
    if isinstance(answer, Job):
        return attrs.evolve(answer, token=answer.token and _CLAIMED)
    if isinstance(answer, tuple):
        return tuple(map(_plain, answer))
    if isinstance(answer, frozenset):
        return len(answer)
    return answer


def _rows(tables: Tables) -> dict[tuple[str, str], dict[str, Any]]:
    """Return all rows, but for stamps, versions and tokens; nulls left out."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for table in TABLES:
        for row in tables.page(table, Query(KEY), 1000):
            cells = {k: v for k, v in row.cells.items() if v is not None}
            if "token" in cells:
                cells["token"] = _CLAIMED
            found[table.name, row.key] = cells
    return found


def _empty(tables: Tables) -> None:
    for table in TABLES:
        tables.delete(table, tables.page(table, Query(KEY), 1000))


@cache
def _as_specified(name: str) -> tuple[Any, Any, int]:
    """Return a verb's answer, the rows after it, and how many writes it takes."""
    storage, counts = MemoryStorage(FakeClock(NOW)), Loses(-1, done=False)
    fill(storage)
    answer = VERBS[name](over(storage, counts))
    return _plain(answer), _rows(storage.tables), counts.writes


class LostChecks:
    """Nothing is doubled, nothing is lost, and the answer is the same."""

    @pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
    @pytest.mark.parametrize("store", _STORES)
    def test_lost_answer_changes_nothing(
        self, storage: Storage, store: str, *, done: bool
    ):
        """Each write of each verb: its acknowledgement is lost, and it is done once."""
        tables = tables_of(storage)
        for name in (name for name in VERBS if name.partition(".")[0] == store):
            answer, rows, writes = _as_specified(name)
            for number in range(writes):
                _empty(tables)
                fill(storage)
                loses = Loses(number, done=done)
                told = _plain(VERBS[name](over(storage, loses)))
                assert (name, number, told) == (name, number, answer)
                assert (name, number, _rows(tables)) == (name, number, rows)

    def test_write_of_a_rival_is_never_taken_for_ours(self, storage: Storage):
        """A rival is faster, and our own write may have been lost: one winner."""
        for lost in (False, True):
            _empty(tables_of(storage))
            storage.enrollments.open(enrollment())
            won: list[bool] = []
            rival = partial(_write_two, storage, "op-rival", won)
            between = _RivalThenLost(rival) if lost else Rival(rival)
            _write_two(over(storage, between), "op-ours", won)
            assert won == [True, False]
            row = storage.enrollments.find(enrollment().id)
            assert row is not None
            assert [one.op_id for one in row.history] == ["op-1", "op-rival"]

    def test_lapsed_seat_is_found_however_many_are_faster(self, storage: Storage):
        """The loser of the race for one lapsed seat looks for another one."""
        storage.coupons.create(coupon(max_redemptions=5))
        for number in range(5):
            storage.coupons.reserve("GRANT-1", f"enr_{number}", NOW, after(1))

        def rivals() -> None:
            for number in range(100, 104):
                answer = storage.coupons.reserve(
                    "GRANT-1", f"enr_{number}", after(2), after(900)
                )
                assert answer.outcome is ReserveOutcome.RESERVED

        # They come when it has chosen its seat: the one lapsed for longest, as theirs.
        ours = over(storage, Rival(rivals))
        mine = ours.coupons.reserve("GRANT-1", "enr_mine", after(2), after(900))
        assert mine.outcome is ReserveOutcome.RESERVED
        late = storage.coupons.reserve("GRANT-1", "enr_late", after(2), after(900))
        assert late.outcome is ReserveOutcome.HELD

    def test_race_for_lapsed_seats_gives_all_of_them(self, storage: Storage, spread):
        """As many racers as lapsed seats: each gets one, and none has to wait."""
        storage.coupons.create(coupon(max_redemptions=24))
        for number in range(24):
            storage.coupons.reserve("GRANT-1", f"old_{number}", after(-900), after(-1))
        assert spread(races.reserve_one, 24) == ["reserved"] * 24


class _RivalThenLost(Rival):
    """Lets a rival act before the first swap, whose answer then is lost."""

    def __call__(self, verb: str, trip: Callable[[], Any]) -> Any:
        loses = verb == "swap" and self._left
        answer = super().__call__(verb, trip)
        if loses:
            raise UnclearWriteError
        return answer


def _write_two(storage: Any, op: str, won: list[bool]) -> None:
    """Write version 2, and note whether we did."""
    change = entry(2, Status.PENDING, op_id=op)
    row_id = enrollment().id
    done = storage.enrollments.transition(row_id, 1, Status.PENDING, change, None, {})
    won.append(done is not None)
