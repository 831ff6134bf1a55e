# SPDX-License-Identifier: MIT
"""Pages of an in-memory list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..errors import ValidationError
from ..models import Page


T = TypeVar("T")


def page_of(
    rows: Iterable[T],
    key: Callable[[T], Any],
    limit: int,
    cursor: str | None,
    *,
    newest: bool = False,
) -> Page[T]:
    """Return the rows after the cursor's key; the key must be unique."""
    ordered = sorted(rows, key=key, reverse=newest)
    if cursor is not None:
        names = [repr(key(row)) for row in ordered]
        if not cursor.startswith("("):
            raise ValidationError("cursor: is not one of ours", field="cursor")
        later = [n for n in range(len(names)) if names[n] == cursor]
        ordered = ordered[later[0] + 1 :] if later else []
    items = tuple(ordered[:limit])
    more = len(ordered) > limit
    return Page(items=items, next_cursor=repr(key(items[-1])) if more else None)
