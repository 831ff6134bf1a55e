# SPDX-License-Identifier: MIT
"""The address of a learner: who was erased has one that nobody can write to."""

from __future__ import annotations


#: RFC 2606: this domain will never exist, so no mail can reach such an address.
ERASED_DOMAIN = "erased.invalid"


def erased_email(name: str) -> str:
    """Return the address that replaces an erased learner's."""
    return f"{name}@{ERASED_DOMAIN}".lower()


def is_erased(email: str) -> bool:
    """Tell whether an address stands for an erased learner."""
    return email.endswith(f"@{ERASED_DOMAIN}")
