# SPDX-License-Identifier: MIT
"""JSON of callers: bounded depth, numbers that a type holds, and one reading."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any


#: Objects and lists in each other; the deepest schema has three.
_MOST_DEEP = 16
#: Characters of one number.
_MOST_DIGITS = 40
#: A string; one that does not end goes to the end, so that nothing is read twice.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STEPS = [0] * 256
for _opening, _closing in (b"[]", b"{}"):
    _STEPS[_opening], _STEPS[_closing] = 1, -1
_NO_BRACKETS = bytes(byte for byte in range(256) if not _STEPS[byte])


class OutOfRange:
    """A number that no type holds: of no kind that a schema takes."""

    def __repr__(self) -> str:
        return "a number out of range"


def read(data: bytes) -> Any:
    """
    Return what a body says.

    Raises:
        ValueError: It is not JSON in UTF-8, too deep, or has two readings.
    """
    if _depth(data) > _MOST_DEEP:
        raise ValueError("is too deep")
    said = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_no_twins,
        parse_constant=_no_constant,
        parse_float=_number,
        parse_int=_whole,
    )
    # Half a surrogate pair is no text.
    json.dumps(said, ensure_ascii=False, default=repr).encode()
    return said


def _depth(data: bytes) -> int:
    """Return how deep it goes, without going there."""
    brackets = _STRING.sub(b"", data).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a field twice: two readers would see two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("names a field twice")
    return found


def _whole(digits: str) -> Any:
    return int(digits) if len(digits) <= _MOST_DIGITS else OutOfRange()


def _number(digits: str) -> Any:
    """Read 3.0 as 3: to JSON Schema it is a whole number."""
    if len(digits) > _MOST_DIGITS:
        return OutOfRange()
    value = float(digits)
    if value in {float("inf"), float("-inf")} or (value == 0 and _is_some(digits)):
        return OutOfRange()
    return int(value) if value.is_integer() else value


def _is_some(digits: str) -> bool:
    """Tell whether a number is written as another than 0."""
    return bool(digits.lower().partition("e")[0].strip("-+.0"))


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number")
