# SPDX-License-Identifier: MIT
"""Cells of CSV files hold no formula, and can be read again."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frappe_enroll_sdk import spreadsheets
from frappe_enroll_sdk.models import LedgerRow, RowKind
from frappe_enroll_sdk.services.affiliates.statement import statement_of


SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫−⁺₊⁻₌"
FORMULAS = [
    *(f"{sign}1+1" for sign in SIGNS),
    *(f"{blank}=1" for blank in (" ", "\t", "\r", "\n", "\u00a0", "\u3000", "\u200b")),
    *(f"{unseen}＝1" for unseen in ("\ufeff", "\u2060", "\u202e", "\x00", " \u200d ")),
    "\t1",
    "'=1",
    "''＝1",
    "=",
    "−1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formula_is_defused_in_any_width(text):
    """It begins with a quote then, and is read as what it was."""
    cell = spreadsheets.cell(text)
    assert cell == f"'{text}"
    assert spreadsheets.read(cell) == text


@pytest.mark.parametrize(
    "text", ["", "Ada", "a=b", "'Ada'", "O'Neil", "1-2", "Ω", "％"]
)
def test_other_text_is_left_alone(text):
    """As it was written."""
    assert spreadsheets.cell(text) == text
    assert spreadsheets.read(text) == text


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (True, "yes"), (False, "no"), (-4900, -4900), (0, 0)],
)
def test_other_value_is_a_plain_cell(value, cell):
    """A number stays one, below zero too."""
    assert spreadsheets.cell(value) == cell


@given(st.text())
def test_every_text_is_read_again(text):
    """Whatever it begins with."""
    assert spreadsheets.read(spreadsheets.defused(text)) == text


def test_statement_holds_no_formula():
    """The LMS names courses, and not we."""
    row = LedgerRow(
        affiliate="ada",
        n=1,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        kind=RowKind.PAYOUT,
        enrollment_id="＝cmd()",
        course_id="=cmd()",
        currency="usd",
        op_id="op",
        available_minor=-4900,
    )
    out = io.StringIO()
    csv.writer(out).writerows(statement_of([row]))
    out.seek(0)
    (line,) = csv.DictReader(out)
    assert line["course_id"] == "'=cmd()"
    assert line["enrollment_id"] == "'＝cmd()"
    assert line["available_minor"] == "-4900"
