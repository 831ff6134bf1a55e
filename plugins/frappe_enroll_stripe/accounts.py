# SPDX-License-Identifier: MIT
"""Which account a secret key belongs to, told by the key itself."""

from __future__ import annotations

import hashlib
import re


#: Keys since 2017 contain the account's id (without ``acct_``) before their secret
#: part. Only its digest is kept: what looks like an id may be a secret in another
#: format.
_KEY = re.compile(r"(?:sk|rk)_(?:test|live)_51([A-Za-z0-9]{14})")


def account_of(secret_key: str) -> str:
    """
    Return an identifier of the key's account, the same for all its keys; "" = unknown.

    Test and live keys of one account give the same identifier.
    """
    found = _KEY.match(secret_key)
    if found is None:
        return ""
    return hashlib.sha256(found[1].encode()).hexdigest()[:16]
