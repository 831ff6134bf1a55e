# SPDX-License-Identifier: MIT
"""Whose mailbox an address names, however it is spelled: pure."""

from __future__ import annotations


__all__: tuple[str, ...] = ()  # internal


def mailbox_of(email: str) -> str:
    """Return the canonical spelling of a mailbox: no plus tag, no dots, one domain."""
    local, _, domain = email.casefold().partition("@")
    domain = {"googlemail.com": "gmail.com"}.get(domain, domain)
    return f"{local.split('+')[0].replace('.', '')}@{domain}"
