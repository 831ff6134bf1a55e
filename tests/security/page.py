# SPDX-License-Identifier: MIT
"""docs/security.md: the part that is made from the routes, and the tests it names."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parents[1]))
from support.access import ASKED, IDENTITIES, SEARCH, TABLE, expected

from frappe_enroll_wsgi._internal.routing import Access


ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
_PART = re.compile(r"(?<=<!-- access -->\n).*?(?=<!-- end -->)", re.DOTALL)
_PROOF = re.compile(r"`((?:tests|frappe_enroll_sdk)/[\w/]+\.py)::(\w+)`")


def access_part() -> str:
    """Return what each rule says to each identity, and the routes of each rule."""
    rules = {**{rule: TABLE[rule] for rule in Access}, "viewer, by POST": SEARCH}
    lines = ["", f"| Identity | {' | '.join(map(str, rules))} |"]
    lines.append("|---" * (len(rules) + 1) + "|")
    for identity in IDENTITIES:
        said = " | ".join(row[identity] for row in rules.values())
        lines.append(f"| {identity} | {said} |")
    lines += ["", "| Rule | Routes |", "|---|---|"]
    for rule, row in rules.items():
        mine = [
            f"`{method} {route.path}`"
            for route, method in ASKED
            if method != "HEAD" and expected(route, method) == row
        ]
        lines.append(f"| {rule} | {', '.join(mine)} |")
    return "\n".join([*lines, "", ""])


def proofs() -> list[tuple[str, str]]:
    """Return the tests that the page names: file and name."""
    return _PROOF.findall(PAGE.read_text(encoding="utf-8"))


def tests_in(path: str) -> set[str]:
    """Return the names of a file's tests; none where there is no file."""
    file = ROOT / path
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {node.name for node in found if node.name.startswith("test_")}


def main() -> None:
    """Write the part that is made."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_PART.sub(lambda _: access_part(), text), encoding="utf-8")


def told_access_part() -> str:
    """Return that part as the page has it."""
    (part,) = _PART.findall(PAGE.read_text(encoding="utf-8"))
    return part


if __name__ == "__main__":
    main()
