# SPDX-License-Identifier: MIT
"""What is public says so, and stands in the reference; the rest has an underscore."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
#: Folders whose packages are compared, and the page that lists their names.
REFERENCES = {"contrib": "docs/reference/contrib.md"}


def modules(folder):
    """Return the dotted names of the modules that anybody may import."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT / folder).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not any(part.startswith("_") for part in parts):
            found.append(".".join(parts))
    return found


@pytest.mark.parametrize(("folder", "page"), REFERENCES.items())
def test_public_names_are_documented(folder, page):
    """Each module has ``__all__``, and the reference has these names and no others."""
    said = {
        (name, public)
        for name in modules(folder)
        for public in importlib.import_module(name).__all__
    }
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \| .+ \|$", text, re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == said


@pytest.mark.parametrize("folder", REFERENCES)
def test_public_names_are_there(folder):
    """Whatever ``__all__`` promises can be imported."""
    for name in modules(folder):
        module = importlib.import_module(name)
        assert [one for one in module.__all__ if not hasattr(module, one)] == []
