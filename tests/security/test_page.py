# SPDX-License-Identifier: MIT
"""docs/security.md says what is so: its table is the routes', its tests exist."""

from __future__ import annotations

import re

from security import page


#: Items of level 1 and 2 (and some of 3) that apply, at the least.
LEAST = 80
#: A row of three cells: number, words, proof.
PROMISE = r"\| \d+\.\d+\.\d+ \| [^|]+ \| [^|]+ \|$"


def rows(pattern):
    """Return the rows of the page's tables that fit."""
    text = page.PAGE.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if re.match(pattern, line)]


def test_access_table_is_the_one_of_the_routes():
    """After a change of a route: ``python tests/security/page.py``."""
    assert page.told_access_part() == page.access_part()


def test_proofs_exist():
    """Each test that the page names is one."""
    named = page.proofs()
    missing = [f"{f}::{name}" for f, name in named if name not in page.tests_in(f)]
    assert missing == []


def test_every_item_has_its_proof():
    """A number once, each with a test; so has each row of Stripe's guide."""
    items = rows(PROMISE)
    numbers = [item.split(" | ")[0] for item in items]
    assert len(numbers) == len(set(numbers)) >= LEAST
    text = page.PAGE.read_text(encoding="utf-8")
    guide = text.partition("## Stripe's guide")[2].splitlines()
    items += [line for line in guide if line.startswith("| ")][1:]
    assert [item for item in items if not page._PROOF.search(item)] == []
    assert len(items) >= LEAST + 15


def test_what_does_not_apply_has_its_reason():
    """Numbers and words; none of them is promised above."""
    promised = {row.split(" | ")[0][2:] for row in rows(PROMISE)}
    found = rows(r"\| \d+\.\d+\.\d+[^|]* \| [^|]+ \|$")
    assert len(found) > 20
    for row in found:
        numbers, reason = row.strip("| ").split(" | ")
        assert len(reason) > 5
        assert not promised & {*re.split(r", | to ", numbers)}, row
