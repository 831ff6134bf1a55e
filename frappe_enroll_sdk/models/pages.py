# SPDX-License-Identifier: MIT
"""One page of a list, and the way through all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import attrs

from ..errors import TransientError


T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """
    One page of a list.

    Attributes:
        items: The records, in the list's order.
        next_cursor: Opaque text that continues the list, or None at its end.
        unreadable: The page's records that can't be read, each as "name: why".
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
    unreadable: tuple[str, ...] = ()


#: Most pages read from a foreign list: ten million rows, at a hundred each.
_MAX_PAGES = 100_000


class Trail:
    """The cursors of one walk through a foreign list, to detect a loop."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def follow(self, cursor: str | None) -> str | None:
        """
        Return the cursor if it leads on.

        Raises:
            TransientError: The cursor was seen before, or there are too many: the list
                would never end, and what was read of it is incomplete.
        """
        if cursor is not None:
            if cursor in self._seen or len(self._seen) >= _MAX_PAGES:
                raise TransientError("a backend's list repeats itself and never ends")
            self._seen.add(cursor)
        return cursor


def walk(
    page_after: Callable[[str | None], Page[T]],
    unreadable: Callable[[str], object] | None = None,
) -> Iterator[T]:
    """
    Yield the records of all pages, fetching one page at a time.

    Args:
        page_after: Returns the page at a cursor; None = the first one.
        unreadable: Called with each entry of the pages' `unreadable`; None = the
            store's log is enough.

    Raises:
        TransientError: The list never ends.
    """
    trail, cursor = Trail(), None
    while True:
        page = page_after(cursor)
        if unreadable is not None:
            for words in page.unreadable:
                unreadable(words)
        yield from page.items
        cursor = trail.follow(page.next_cursor)
        if cursor is None:
            return
