# SPDX-License-Identifier: MIT
"""One page of a list."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs


T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """
    One page of a list.

    Attributes:
        items: The records, in the list's order.
        next_cursor: Opaque text that continues the list, or None at its end.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
