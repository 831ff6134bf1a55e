# SPDX-License-Identifier: MIT
"""Strict JSON parsing: bounded depth, representable numbers, no duplicate names."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any


#: Deepest nesting; the deepest schema has three levels.
_MAX_DEPTH = 16
#: Most characters of a number.
_MAX_DIGITS = 40
#: A string; an unterminated one matches to the end, so matching stays linear.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STEPS = [0] * 256
for _opening, _closing in (b"[]", b"{}"):
    _STEPS[_opening], _STEPS[_closing] = 1, -1
_NO_BRACKETS = bytes(byte for byte in range(256) if not _STEPS[byte])


class OutOfRange:
    """A number that no type can hold; no schema accepts it."""

    def __repr__(self) -> str:
        return "a number out of range"


def read(data: bytes) -> Any:
    """
    Parse a body.

    Raises:
        ValueError: It is not JSON in UTF-8, too deep, or ambiguous.
    """
    if _depth(data) > _MAX_DEPTH:
        raise ValueError("is too deep")
    said = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_no_twins,
        parse_constant=_no_constant,
        parse_float=_number,
        parse_int=_whole,
    )
    # A lone surrogate is not text.
    json.dumps(said, ensure_ascii=False, default=repr).encode()
    return said


def _depth(data: bytes) -> int:
    """Return the nesting depth without parsing."""
    brackets = _STRING.sub(b"", data).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that has a name twice: parsers disagree on its meaning."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("names a field twice")
    return found


def _whole(digits: str) -> Any:
    return int(digits) if len(digits) <= _MAX_DIGITS else OutOfRange()


def _number(digits: str) -> Any:
    """
    Parse 3.0 as 3: JSON Schema calls it an integer.

    Any other as a decimal: as a float, a percentage just above or below 100 is 100.
    """
    if len(digits) > _MAX_DIGITS:
        return OutOfRange()
    about = float(digits)
    if about in {float("inf"), float("-inf")} or (about == 0 and _is_some(digits)):
        return OutOfRange()
    value = Decimal(digits)
    return int(value) if value == value.to_integral_value() else value


def _is_some(digits: str) -> bool:
    """Return whether a number's digits are not all zero."""
    return bool(digits.lower().partition("e")[0].strip("-+.0"))


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number")
