# SPDX-License-Identifier: MIT
"""
Proxies in front: their X-Forwarded headers are believed, nobody else's.

The client is the last address of X-Forwarded-For that is not itself a trusted proxy:
what stands before it was written by the client and may be made up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: What a learner's household shares of an IPv6 address.
_IPV6_PREFIX = 64


class Proxies:
    """The trusted proxies of one SDK. Thread-safe."""

    def __init__(self, words: Iterable[str]) -> None:
        chosen = tuple(words)
        self._unix = "unix" in chosen
        self._networks: tuple[_Network, ...] = tuple(
            ipaddress.ip_network(word, strict=False)
            for word in chosen
            if word != "unix"
        )

    def trusts(self, address: str) -> bool:
        """Tell whether the peer is one of our proxies."""
        if not address:  # a Unix socket has none
            return self._unix
        found = _parse(address)
        return found is not None and any(found in net for net in self._networks)

    def client(self, environ: WSGIEnvironment) -> str:
        """Return the client's address, or "" where nobody can tell."""
        address = str(environ.get("REMOTE_ADDR") or "")
        hops = str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")
        while self.trusts(address) and hops:
            hop = hops.pop().strip()
            if _parse(hop) is None:
                break
            address = hop
        return address

    def apply(self, environ: WSGIEnvironment) -> WSGIEnvironment:
        """Return the environment as the trusted proxies tell it."""
        if not self.trusts(str(environ.get("REMOTE_ADDR") or "")):
            return environ
        told: dict[str, Any] = dict(environ)
        scheme = _last(environ, "HTTP_X_FORWARDED_PROTO")
        if scheme in {"http", "https"}:
            told["wsgi.url_scheme"] = scheme
        prefix = _last(environ, "HTTP_X_FORWARDED_PREFIX").rstrip("/")
        if prefix.startswith("/") and not prefix.startswith("//"):
            told["SCRIPT_NAME"] = prefix
            path = str(environ.get("PATH_INFO") or "")
            if path == prefix or path.startswith(f"{prefix}/"):
                told["PATH_INFO"] = path[len(prefix) :]
        return told


def bucket_of(address: str) -> str:
    """Return what an address counts as: IPv6 hands out whole networks to one person."""
    found = _parse(address)
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))
    return str(found or "unknown")


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _last(environ: WSGIEnvironment, name: str) -> str:
    """Return the word that the nearest proxy wrote."""
    return str(environ.get(name) or "").split(",")[-1].strip()
