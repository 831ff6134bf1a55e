# SPDX-License-Identifier: MIT
"""Printing where a terminal or pipe can't show every character."""

from __future__ import annotations

import codecs
import io
import sys


_ESCAPED = "frappe_enroll_escaped"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return what can't be shown as JSON would write it: a JSON line stays one."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    words = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
    return "".join(f"\\u{word}" for word in words), error.end


codecs.register_error(_ESCAPED, _escape)


def print_anything() -> None:
    """Let stdout and stderr write what their encoding has not as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)
