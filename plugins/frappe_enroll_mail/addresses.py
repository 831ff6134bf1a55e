# SPDX-License-Identifier: MIT
"""Addresses in headers: what is refused, and what an error may show of them."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP
from typing import Any


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ADDRESS_IN_TEXT = re.compile(r"<?[^\s<>\"']+@[^\s<>\"',;:]+>?")


def has_control(text: str) -> bool:
    """Tell whether a text would break a header into several lines."""
    return _CONTROL.search(text) is not None


def read_address(value: Any) -> Address:
    """
    Read one address, with or without a name: ``Python School <courses@example.com>``.

    Raises:
        ValueError: It is not exactly one address with a domain.
    """
    if not isinstance(value, str) or has_control(value):
        raise ValueError("must be an address, e.g. School <courses@example.com>")
    try:
        header = SMTP.header_factory("From", value)
    except (MessageError, IndexError) as error:
        raise ValueError("is not an address") from error
    found: tuple[Address, ...] = getattr(header, "addresses", ())
    if header.defects or len(found) != 1 or not found[0].domain:
        raise ValueError("must be one address, e.g. School <courses@example.com>")
    if not found[0].addr_spec.isascii():
        raise ValueError("must be ASCII (a domain may be written as xn--…)")
    return found[0]


def to_address(email: str, name: str | None) -> Address:
    """
    Return a person's address for a header.

    Raises:
        ValueError: It would break the header.
    """
    shown = name or ""
    if has_control(email) or has_control(shown):
        raise ValueError("a control character in an address or name")
    plain = read_address(email)
    return Address(shown, plain.username, plain.domain)


def without_addresses(text: str) -> str:
    """Return a server's text without the addresses that it quotes."""
    return _ADDRESS_IN_TEXT.sub("…", _CONTROL.sub(" ", text))
