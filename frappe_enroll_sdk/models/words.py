# SPDX-License-Identifier: MIT
"""Words of other people's lists: one that we do not know keeps its text."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


_LONGEST = 64


class ForeignWord(StrEnum):
    """
    An enumeration that somebody else may add to at any time.

    A word that is not a member is read as an object of the class that is equal to its
    text: it is stored and shown like the others, and `is_known` is False. Whoever
    decides by it takes the safe side: entitle nobody, take no right away, alert once.
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
        """Whether it is one of the words that this version knows."""
        return type(self).__members__.get(self.name) is self
