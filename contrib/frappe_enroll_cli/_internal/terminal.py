# SPDX-License-Identifier: MIT
"""Print characters that a terminal's encoding lacks."""

from __future__ import annotations

import codecs
import io
import sys


_ESCAPED = "frappe_enroll_escaped"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Escape as JSON does, so that JSON lines stay valid."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    words = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
    return "".join(f"\\u{word}" for word in words), error.end


codecs.register_error(_ESCAPED, _escape)


def print_anything() -> None:
    """Make stdout and stderr escape characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)
