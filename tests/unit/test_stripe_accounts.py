# SPDX-License-Identifier: MIT
"""Which account a Stripe key is of, told by the key itself."""

from __future__ import annotations

import pytest

from frappe_enroll_stripe.accounts import account_of


STABLE, OTHER = "51Aa0Bb1Cc2Dd3Ee4", "51Zz9Yy8Xx7Ww6Vv5"


def test_account_is_that_of_all_its_keys():
    """Rolled, restricted, live or test: one account; another one is another."""
    keys = [
        f"{kind}_{mode}_{STABLE}{rest}"
        for kind in ("sk", "rk")
        for mode in ("test", "live")
        for rest in ("secretOne", "secretTwo")
    ]
    (mark,) = {account_of(key) for key in keys}
    assert len(mark) == 16
    assert mark != account_of(f"sk_test_{OTHER}secretOne")


def test_account_tells_nothing_of_the_key():
    """No part of the key is in it."""
    assert STABLE[2:] not in account_of(f"sk_live_{STABLE}secret")


@pytest.mark.parametrize("key", ["sk_test_sandbox", "sk_live_51short", "rk_test_", ""])
def test_key_of_another_form_is_of_no_known_account(key):
    """Nothing is concluded from what can't be told."""
    assert account_of(key) == ""
