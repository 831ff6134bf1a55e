# SPDX-License-Identifier: MIT
"""Cells of CSV files: nothing that a spreadsheet would take for a formula."""

from __future__ import annotations

import unicodedata
from typing import Any


#: What a formula begins with; the last one is the minus that is no hyphen.
_SIGNS = frozenset("=+-@−")


def cell(value: Any) -> Any:
    """Return a value as a cell: numbers as they are, texts defused."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    return defused("" if value is None else str(value))


def defused(text: str) -> str:
    """
    Return a text with a quote before what looks like a formula.

    After a semicolon, too: where that separates cells (in most of Europe), a new one
    begins there, whatever quotes the file has.
    """
    parts = text.split(";")
    return ";".join(f"'{part}" if _is_formula(part) else part for part in parts)


def read(text: str) -> str:
    """Return the text that `defused` made a cell of."""
    return ";".join(map(_read, text.split(";")))


def _read(part: str) -> str:
    return part[1:] if part[:1] == "'" and _is_formula(part[1:]) else part


def _is_formula(text: str) -> bool:
    """
    Tell whether a spreadsheet may read a formula, in any width of its sign.

    Spreadsheets trim what they read, of more than blanks; a quote of the text's own is
    passed over, so that every text can be read again.
    """
    bare = text.lstrip("'")
    if bare[:1] in {"\t", "\r", "\n"}:
        return True
    first = next((c for c in bare if not c.isspace() and not _is_unseen(c)), "")
    return unicodedata.normalize("NFKC", first)[:1] in _SIGNS if first else False


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf"}
