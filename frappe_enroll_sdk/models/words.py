# SPDX-License-Identifier: MIT
"""Words of other people's lists: one that we do not know keeps its text."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


_LONGEST = 64


class ForeignWord(StrEnum):
    """
    An enumeration owned by someone else, who may extend it at any time.

    An unknown value becomes an object of the class that equals its text: it is stored
    and shown like the others, and `is_known` is False. Decide about such a value on the
    safe side: entitle nobody, revoke nothing, alert once.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = "UNKNOWN", value
        return word

    @property
    def is_known(self) -> bool:
        """Whether this version knows the value."""
        return type(self).__members__.get(self.name) is self
