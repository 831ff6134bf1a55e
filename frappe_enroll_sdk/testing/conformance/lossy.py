# SPDX-License-Identifier: MIT
"""Tables whose answers get lost, and between whose trips others act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ...errors import UnclearWriteError
from ...interfaces import Storage
from ...interfaces.tables import Tables
from ...stores.storage import TableStorage


_WRITES = frozenset({"insert", "swap", "delete", "take"})


def tables_of(storage: Storage) -> Tables:
    """Return a storage's tables; a storage without any is not asked for them."""
    tables: Tables | None = getattr(storage, "tables", None)
    if tables is None:
        pytest.skip("is not written over tables")
    return tables


class Between:
    """
    Tables that call `act` before each round trip of some verbs, for rivals or faults.

    Args:
        tables: The backend.
        act: Called with the verb and a callable that makes the round trip; returns the
            caller's answer.
    """

    def __init__(
        self, tables: Tables, act: Callable[[str, Callable[[], Any]], Any]
    ) -> None:
        self._tables, self._act = tables, act

    def __getattr__(self, name: str) -> Any:
        known = getattr(self._tables, name)
        if name not in _WRITES:
            return known

        def trip(*args: Any) -> Any:
            return self._act(name, lambda: known(*args))

        return trip


class Loses:
    """
    Loses the answer to one write, the `n`-th from 0, before it or after it is done.

    Attributes:
        writes: How many there were.
    """

    def __init__(self, n: int, *, done: bool) -> None:
        self._n, self._done, self.writes = n, done, 0

    def __call__(self, _verb: str, trip: Callable[[], Any]) -> Any:
        """Make a round trip, and lose its answer if it is the n-th."""
        self.writes += 1
        if self.writes - 1 != self._n:
            return trip()
        if self._done:
            trip()
        raise UnclearWriteError


class Rival:
    """Lets a rival act just before the first `times` swaps."""

    def __init__(self, act: Callable[[], object], times: int = 1) -> None:
        self._act, self._left = act, times

    def __call__(self, verb: str, trip: Callable[[], Any]) -> Any:
        """Let the rival act, then make the round trip."""
        if verb in {"swap", "take"} and self._left:
            self._left -= 1
            self._act()
        return trip()


class Plain:
    """
    A `storage_factory` without faster verbs: the stores as the core has them.

    Can be pickled if the given one can.
    """

    def __init__(self, factory: Callable[[], Storage]) -> None:
        self._factory = factory

    def __call__(self) -> TableStorage:
        """Open the store."""
        return TableStorage(tables_of(self._factory()))


def over(
    storage: Storage, act: Callable[[str, Callable[[], Any]], Any]
) -> TableStorage:
    """Return the stores over the same tables, with something between."""
    tables: Any = Between(tables_of(storage), act)
    return TableStorage(tables)
