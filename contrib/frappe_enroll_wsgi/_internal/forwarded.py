# SPDX-License-Identifier: MIT
"""The Forwarded header (RFC 7239)."""

from __future__ import annotations

import re


_PAIR = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    r'(?:"((?:[^"\\]|\\.)*+)"|([^",;= \t]*+))[ \t]*'
)


def parse(text: str) -> list[dict[str, str]]:
    """Return the parameters of each proxy, nearest last; [] if malformed."""
    found: list[dict[str, str]] = []
    one: dict[str, str] = {}
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return []
        name, quoted, plain = pair[1].lower(), pair[2], pair[3]
        if name in one:
            return []
        one[name] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        place = pair.end()
        mark = text[place : place + 1]
        if mark not in {"", ",", ";"}:
            return []
        if mark != ";":
            found.append(one)
            one = {}
        place += 1
    return found
