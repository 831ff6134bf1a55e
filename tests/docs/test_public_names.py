# SPDX-License-Identifier: MIT
"""What is public says so, and stands in the reference; nothing else is relied on."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
#: Folders whose packages are compared, and the page that lists their names.
REFERENCES = {
    "frappe_enroll_sdk": "docs/reference/core.md",
    "plugins": "docs/reference/plugins.md",
    "contrib": "docs/reference/contrib.md",
}
#: Distribution-level packages whose modules each speak for themselves. Elsewhere the
#: ``__all__`` of a package may speak for the modules in it.
EACH_MODULE = {
    "frappe_enroll_sdk",
    *(path.name for path in (ROOT / "contrib").iterdir() if path.is_dir()),
}
#: Our own code that takes more of the core than is public, and why.
INSIDERS = {
    "plugins/frappe_enroll_mongo/migrate.py": "reads what our earlier releases wrote",
    "plugins/frappe_enroll_sql/migrate.py": "the same",
}
#: A mark before a block, or none, and the block; "from FILE" marks lines of a file.
BLOCK = re.compile(r"(?ms)(?:<!-- ([^>\n]+) -->\n)?```python\n(.*?)^```$")


def modules(folder):
    """Return the dotted names of the modules that anybody may import."""
    root = ROOT if folder == "frappe_enroll_sdk" else ROOT / folder
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not any(part.startswith("_") for part in parts):
            found.append(".".join(parts))
    return found


def says(name):
    """Return the ``__all__`` of a module, or None."""
    return getattr(importlib.import_module(name), "__all__", None)


def is_spoken_for(name):
    """Tell whether a package above a module says what is public of it."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in EACH_MODULE:
            return False
        if says(name) is not None:
            return True
    return False


def public(folder):
    """Return each public name of a folder with its module."""
    return {(name, one) for name in modules(folder) for one in says(name) or ()}


def documented(page):
    """Return the modules and names that a page of the reference lists."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^\| `(\S+)` \| `(\S+)` \| .+ \|$", text, re.MULTILINE)


@pytest.mark.parametrize("folder", REFERENCES)
def test_module_says_what_is_public(folder):
    """By ``__all__``, its own or that of its package, or by an underscore."""
    silent = [n for n in modules(folder) if says(n) is None and not is_spoken_for(n)]
    assert silent == []


@pytest.mark.parametrize(("folder", "page"), REFERENCES.items())
def test_public_names_are_documented(folder, page):
    """The reference has the names of each ``__all__``, once, and no others."""
    rows = documented(page)
    assert len(rows) == len(set(rows))
    assert set(rows) == public(folder)


@pytest.mark.parametrize("folder", REFERENCES)
def test_public_names_are_there(folder):
    """Whatever ``__all__`` promises can be imported."""
    for name, one in public(folder):
        assert hasattr(importlib.import_module(name), one), (name, one)


def taken(source):
    """Yield what a piece of Python imports of us: the module and the name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def users():
    """Yield those who have to get by with what is public: their file, and Python."""
    for folder in ("plugins", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if str(path.relative_to(ROOT)) not in INSIDERS:
                yield path, path.read_text(encoding="utf-8")
    for folder in ("docs", "examples"):
        for path in [ROOT / "README.md", *sorted((ROOT / folder).rglob("*.md"))]:
            for mark, block in BLOCK.findall(path.read_text(encoding="utf-8")):
                if not mark.startswith("from "):
                    yield path, block


def test_plugins_examples_and_pages_take_public_names_only():
    """What our own plugins are built with is there for anybody's."""
    known = {pair for folder in REFERENCES for pair in public(folder)}
    doors = {module for module, _ in known}
    internal = []
    for path, source in users():
        own = path.relative_to(ROOT).parts[:2]
        for module, name in taken(source):
            if not module.startswith("frappe_enroll_") or module.split(".")[0] in own:
                continue
            is_module = not name or f"{module}.{name}" in doors
            if (module, name) not in known and not is_module:
                internal.append((str(path.relative_to(ROOT)), module, name))
    assert internal == []
