# SPDX-License-Identifier: MIT
"""Identifiers, tokens and codes: their form, and that nothing is guessed."""

from __future__ import annotations

import hashlib
import re

import pytest

from frappe_enroll_sdk import ids


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (ids.new_enrollment_id, r"enr_[0-9a-f]{32}"),
        (ids.new_token, r"[A-Za-z0-9_-]{43}"),
        (ids.new_claim_token, r"[0-9a-f]{32}"),
        (ids.new_coupon_code, r"GRANT(-[2-9A-HJKMNP-Z]{4}){3}"),
    ],
    ids=["enrollment", "token", "claim", "coupon"],
)
def test_new_name_has_its_form_and_never_repeats(make, form):
    """A thousand of each."""
    made = {make() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(form, name) for name in made)


def test_coupon_code_has_no_look_alikes():
    """Nobody confuses 0 and O, or 1, I and L, when typing a code."""
    letters = "".join(ids.new_coupon_code("") for _ in range(500))
    assert set(letters) - {"-"} <= set(ids.CODE_ALPHABET)
    assert not set(ids.CODE_ALPHABET) & set("01OILU")
    assert len(ids.CODE_ALPHABET) == len(set(ids.CODE_ALPHABET)) == 30


def test_coupon_code_has_the_asked_form():
    """Prefix, groups and size."""
    assert re.fullmatch(r"X(-.{5}){2}", ids.new_coupon_code("X", 2, 5))
    assert re.fullmatch(r".{4}(-.{4}){2}", ids.new_coupon_code(""))


def test_token_is_stored_as_its_hash():
    """The store never holds what opens an enrollment."""
    token = ids.new_token()
    assert ids.hash_token(token) == hashlib.sha256(token.encode()).hexdigest()
    assert ids.token_matches(token, ids.hash_token(token))
    assert not ids.token_matches(token + "x", ids.hash_token(token))
    assert not ids.token_matches("", ids.hash_token(token))
    assert not ids.token_matches(ids.hash_token(token), ids.hash_token(token))


def test_fingerprint_tells_lists_apart():
    """Neither joining, nor order, nor a missing part is lost."""
    lists = [
        ("a", "b"),
        ("ab",),
        ("a", "b", ""),
        ("a", "b", None),
        ("b", "a"),
        ("a",),
        (None,),
        ("",),
        ("None",),
        (),
        ("a", 1),
    ]
    prints = [ids.fingerprint(*parts) for parts in lists]
    # No parts and one empty part are the same list of texts.
    assert len(set(prints)) == len(lists) - 1
    assert ids.fingerprint() == ids.fingerprint("")
    assert ids.fingerprint("a", 1) == ids.fingerprint("a", "1")
