# SPDX-License-Identifier: MIT
"""The address of a learner: who was erased has one that nobody can write to."""

from __future__ import annotations


#: RFC 2606: no such domain will ever exist, so no such learner can be written to.
ERASED_DOMAIN = "erased.invalid"


def erased_email(name: str) -> str:
    """Return the address that stands for a learner who was erased."""
    return f"{name}@{ERASED_DOMAIN}".lower()


def is_erased(email: str) -> bool:
    """Tell whether an address stands for a learner who was erased."""
    return email.endswith(f"@{ERASED_DOMAIN}")
