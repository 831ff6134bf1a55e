# SPDX-License-Identifier: MIT
"""Where a list continues: the sort field's moment and the `_id` after it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .documents import EPOCH, Document


def milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def after_of(parts: list[Any] | None, field: str, *, newest: bool) -> Document:
    """Return the filter that continues after a cursor's parts; {} for None."""
    if parts is None:
        return {}
    at, name = EPOCH + timedelta(milliseconds=parts[0]), parts[1]
    beyond = "$lt" if newest else "$gt"
    return {
        # The first bound is what the index walks; the second one breaks ties.
        field: {f"{beyond}e": at},
        "$or": [{field: {beyond: at}}, {"_id": {beyond: name}}],
    }
