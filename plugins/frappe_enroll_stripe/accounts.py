# SPDX-License-Identifier: MIT
"""Which account a secret key belongs to, told by the key itself."""

from __future__ import annotations

import hashlib
import re


#: Keys since 2017 carry the account's id (less its ``acct_``) in front of their secret
#: part. Only its digest is kept: what looks like an id may be a secret of another form.
_KEY = re.compile(r"(?:sk|rk)_(?:test|live)_51([A-Za-z0-9]{14})")


def account_of(secret_key: str) -> str:
    """
    Return a mark of the account: the same for each of its keys; "" = can't be told.

    Test and live keys of one account give the same mark.
    """
    found = _KEY.match(secret_key)
    if found is None:
        return ""
    return hashlib.sha256(found[1].encode()).hexdigest()[:16]
