# SPDX-License-Identifier: MIT
"""
URLs, read in this one place, so that they can be compared part by part.

What two readers may read in two ways is refused: credentials, backslashes, blanks,
percent signs in a host, and the many spellings of an address. A host is told as it is
asked for: in small ASCII letters, without a dot at its end.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Any
from urllib.parse import urlsplit

import attrs


__all__ = (
    "URL",
    "authority",
    "base",
    "is_loopback",
    "optional_base",
    "origin",
    "parse",
)


_PORTS = {"http": 80, "https": 443}
_BLANK = re.compile(r"[\s\x00-\x20\x7f-\x9f\ud800-\udfff]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST = 253
#: Characters that IDNA's versions spell in two ways, and dots that are no full stop.
_TWO_WAYS = frozenset("ßς\u200c\u200d\u3002\uff0e\uff61")


@attrs.frozen(kw_only=True)
class URL:
    """
    An absolute http(s) URL without credentials.

    Attributes:
        scheme: ``http`` or ``https``.
        host: ASCII; an IPv6 address has no brackets.
        port: The effective port, whether it is written or not.
        rest: Path, query and fragment, as written.
    """

    scheme: str
    host: str
    port: int
    rest: str = ""

    @property
    def authority(self) -> str:
        """Host and port; the port only if it is not the scheme's default."""
        shown = _shown(self.host)
        return shown if self.port == _PORTS[self.scheme] else f"{shown}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin that a browser sends for a page from there."""
        return f"{self.scheme}://{self.authority}"

    @property
    def is_near(self) -> bool:
        """Whether it is a loopback address of this host."""
        return is_loopback(self.host)

    def is_on(self, hosts: Any) -> bool:
        """Tell whether it is on one of these hosts, as `authority` returns them."""
        return self.authority in hosts or f"{_shown(self.host)}:{self.port}" in hosts

    def __str__(self) -> str:
        return self.origin + self.rest


def parse(text: Any) -> URL:
    """
    Parse a URL.

    Raises:
        ValueError: Says what is wrong, without quoting the URL.
    """
    if not isinstance(text, str):
        raise ValueError("must be text")
    if _BLANK.search(text) or "\\" in text:
        raise ValueError("must be a URL without blanks and backslashes")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in _PORTS or not parts.netloc:
        raise ValueError("must be an absolute http(s) URL")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password")
    host, port = _split(parts.netloc)
    # Everything after the host, as written.
    start = text.index("//") + 2 + len(parts.netloc)
    return URL(
        scheme=parts.scheme,
        host=_host(host),
        port=_port(port) if port else _PORTS[parts.scheme],
        rest=text[start:],
    )


def base(value: Any) -> str:
    """Return a normalised base URL, to which paths are appended."""
    url = parse(value.strip() if isinstance(value, str) else value)
    if "?" in url.rest or "#" in url.rest:
        raise ValueError("must be a URL without a query and a fragment")
    return str(url)


def optional_base(value: Any) -> str:
    """Return the same as `base`, or "" for no URL."""
    return "" if value == "" else base(value)


def origin(value: Any) -> str:
    """Return an origin (scheme, host and port, nothing else), normalised."""
    url = parse(value)
    if url.rest:
        raise ValueError("must be origins such as https://shop.example.com")
    return url.origin


def authority(value: Any) -> str:
    """Return a host, with its port if given, normalised."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    if re.search(r"[/?#@\\]", value) or _BLANK.search(value):
        raise ValueError("must be hosts such as shop.example.com, or host:port")
    host, port = _split(value)
    shown = _shown(_host(host))
    return f"{shown}:{_port(port)}" if port else shown


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address is a loopback one."""
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _split(netloc: str) -> tuple[str, str]:
    """Return the host (an IPv6 address in its brackets) and the port, or ""."""
    host, bracket, port = netloc.rpartition("]")
    if bracket:
        if port and not port.startswith(":"):
            raise ValueError("is not a URL")
        return host + bracket, port[1:]
    host, _, port = netloc.partition(":")
    return host, port


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5:  # noqa: PLR2004
        raise ValueError("has an invalid port")
    if not 1 <= int(text) <= 65535:  # noqa: PLR2004  TCP's
        raise ValueError("has an invalid port")
    return int(text)


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text)
    name = _ascii(text).lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("has an invalid host")
    # Browsers and C libraries read anything like a number as an address.
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError("has an invalid address") from None
    return name


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError("has an invalid address") from None
    if address.scope_id is not None:
        raise ValueError("has an invalid address")
    return str(address)


def _ascii(text: str) -> str:
    """Return a name as it is looked up; refuse one that could mean two names."""
    if text.isascii():
        return text
    name = text.lower()
    if _TWO_WAYS & set(name) or unicodedata.normalize("NFKC", name) != name:
        raise ValueError("has a host that must be written as xn--…")
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("has an invalid host") from None
