# SPDX-License-Identifier: MIT
"""Identifiers, tokens and coupon codes, from the port's random bytes."""

from __future__ import annotations

import hashlib
import hmac

from .clock import SYSTEM, Ambient


__all__: tuple[str, ...] = ()  # internal


#: Unambiguous letters and digits (no 0 O 1 I L U).
CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


#: Prefix of enrollment ids.
ENROLLMENT_PREFIX = "enr_"


def new_enrollment_id(ambient: Ambient = SYSTEM) -> str:
    """Return a new enrollment id: ``enr_`` and 128 random bits in hexadecimal."""
    return f"{ENROLLMENT_PREFIX}{ambient.token_hex(16)}"


def new_token(ambient: Ambient = SYSTEM) -> str:
    """Return a learner's token (256 random bits, URL-safe)."""
    return ambient.token_urlsafe(32)


def new_claim_token(ambient: Ambient = SYSTEM) -> str:
    """Return the token that fences one claim of a job."""
    return ambient.token_hex(16)


def hash_token(token: str) -> str:
    """Return a token's SHA-256, which is stored in its place (random, so no salt)."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_matches(token: str, token_hash: str) -> bool:
    """Compare a token with a stored hash in constant time."""
    return hmac.compare_digest(hash_token(token), token_hash)


def new_coupon_code(
    prefix: str = "GRANT",
    groups: int = 3,
    size: int = 4,
    *,
    ambient: Ambient = SYSTEM,
) -> str:
    """Return a code such as ``GRANT-7K2Q-M4XW-9PTD`` (about 59 random bits)."""
    parts = [
        "".join(ambient.choice(CODE_ALPHABET) for _ in range(size))
        for _ in range(groups)
    ]
    return "-".join([prefix, *parts] if prefix else parts)


def fingerprint(*parts: str | int | None) -> str:
    """Return a digest of the parts; different lists give different digests."""
    text = "\x1f".join("\x00" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()
