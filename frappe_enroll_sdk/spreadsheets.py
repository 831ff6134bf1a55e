# SPDX-License-Identifier: MIT
"""Cells of CSV files: nothing that a spreadsheet would take for a formula."""

from __future__ import annotations

import unicodedata
from typing import Any


#: Characters that begin a formula; the last one is the minus sign, not a hyphen.
_SIGNS = frozenset("=+-@−")


def cell(value: Any) -> Any:
    """Return a value as a cell: numbers unchanged, texts defused."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    return defused("" if value is None else str(value))


def defused(text: str) -> str:
    """Return a text, with a quote in front if it looks like a formula."""
    return f"'{text}" if _is_formula(text) else text


def read(text: str) -> str:
    """Return the text that `defused` turned into a cell."""
    return text[1:] if text[:1] == "'" and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    """
    Tell whether a spreadsheet may read a formula, whatever the width of its sign.

    Spreadsheets trim more than blanks from what they read; a text's own leading quote
    is skipped, so that every text can be read back.
    """
    bare = text.lstrip("'")
    if bare[:1] in {"\t", "\r", "\n"}:
        return True
    first = next((c for c in bare if not c.isspace() and not _is_unseen(c)), "")
    return unicodedata.normalize("NFKC", first)[:1] in _SIGNS if first else False


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf"}
