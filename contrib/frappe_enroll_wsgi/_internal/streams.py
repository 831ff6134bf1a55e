# SPDX-License-Identifier: MIT
"""CSV files, streamed in chunks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from werkzeug.wrappers import Response


#: Characters per chunk.
_CHUNK = 16_384


def csv_answer(name: str, rows: Iterable[Iterable[Any]]) -> Response:
    """Stream rows as a file; an error in the first chunk is still raised."""
    lines = _lines(rows)
    first = next(lines)

    def stream() -> Iterator[str]:
        yield first
        yield from lines

    response = Response(stream(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f"attachment; filename={name}.csv"
    return response


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow(row)
        if out.tell() > _CHUNK:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()
