# SPDX-License-Identifier: MIT
"""Reading pages of our own rows: one that is damaged never hides the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ..errors import ValidationError


Record = TypeVar("Record")
Stored = TypeVar("Stored")


def readable(
    rows: Iterable[tuple[str, Stored]], read: Callable[[Stored], Record]
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """
    Return the records of stored rows, and which can't be read ("name: why").

    Args:
        rows: The rows' names and what is stored of them.
        read: Returns a record; `ValidationError` or `ValueError` where it is damaged.
    """
    records, unreadable = [], []
    for name, stored in rows:
        try:
            records.append(read(stored))
        except (ValidationError, ValueError) as error:
            unreadable.append(f"{name}: the stored row is damaged ({error})")
    return tuple(records), tuple(unreadable)
