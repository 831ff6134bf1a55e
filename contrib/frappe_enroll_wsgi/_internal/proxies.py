# SPDX-License-Identifier: MIT
"""
Find the client's address: only trusted proxies may report it.

The client is the last address in X-Forwarded-For or Forwarded (RFC 7239) that is not a
trusted proxy; the client may have forged what comes before it. If both headers are set
and disagree, one of them is forged, and the request counts for both addresses.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import forwarded, servers


if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from frappe_enroll_sdk import Settings

logger = logging.getLogger(__name__)
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Length of the IPv6 prefix that a household shares.
_IPV6_PREFIX = 64
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
#: nginx's word for a peer on a Unix socket, in a header too.
_UNIX = "unix:"
#: The same in the words of gunicorn and others, waitress, uWSGI and nginx.
_NO_PEER = frozenset({"", "localhost", "0.0.0.0", _UNIX})  # noqa: S104  uWSGI's word
_FOR, _FORWARDED = "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED"
_TELLING = (
    _FORWARDED,
    *(f"HTTP_X_FORWARDED_{it}" for it in ("FOR", "PROTO", "PREFIX", "HOST", "PORT")),
)


class Proxies:
    """The trusted proxies of one SDK. Thread-safe."""

    def __init__(self, words: Iterable[str], *, keeps_prefix: bool = False) -> None:
        """
        Parse the trusted proxies.

        Args:
            words: Addresses and networks, and ``unix`` for a Unix socket.
            keeps_prefix: Whether the prefix that they report is still in the path.
        """
        chosen = tuple(words)
        self._unix, self._keeps_prefix = "unix" in chosen, keeps_prefix
        self._networks = tuple(_network(word) for word in chosen if word != "unix")
        self._has_warned = False

    @classmethod
    def from_settings(cls, settings: Settings) -> Proxies:
        """Return the proxies named in the settings."""
        return cls(settings.trusted_proxies, keeps_prefix=settings.proxy_keeps_prefix)

    def trusts(self, address: str) -> bool:
        """Return whether the peer is one of our proxies."""
        if address in _NO_PEER:
            return self._unix
        found = _parse(address)
        return found is not None and any(found in net for net in self._networks)

    def is_untrusted(self, environ: WSGIEnvironment) -> bool:
        """Return whether an untrusted peer reports a client address."""
        if self.trusts(_peer(environ)):
            return False
        return any(servers.header(environ, name) for name in _TELLING)

    def warn_once(self, environ: WSGIEnvironment) -> None:
        """Warn once about an untrusted proxy: all of its clients share one limit."""
        if not self._has_warned and self.is_untrusted(environ):
            self._has_warned = True
            logger.warning(
                "X-Forwarded-* or Forwarded came from a peer that "
                "FRAPPE_ENROLL_TRUSTED_PROXIES does not name. If it is your proxy, all "
                "of its clients share one limit"
            )

    def clients(self, environ: WSGIEnvironment) -> tuple[str, ...]:
        """
        Return the keys that the client's requests count for.

        One address ("" if unknown). If two headers disagree, both, marked so that they
        differ from plain addresses: one is the client's, the other could be anybody's.
        """
        peer = _peer(environ)
        if not self.trusts(peer):
            return (peer,)
        hops = [hop.strip() for hop in servers.header(environ, _FOR).split(",")]
        entries = forwarded.parse(servers.header(environ, _FORWARDED))
        plain = self._last(peer, hops)
        if not entries:
            return (plain,)
        named = self._last(peer, [one.get("for", "") for one in entries])
        if not any(hops) or bucket_of(named) == bucket_of(plain):
            return (named,)
        return (f"x-forwarded-for {plain}", f"forwarded {named}")

    def _last(self, peer: str, hops: list[str]) -> str:
        """Return the last untrusted address, going back from the peer."""
        address, left = peer, list(hops)
        while self.trusts(address) and left:
            hop = left.pop()
            found = _parse(hop)
            if found is None and not (hop == _UNIX and self._unix):
                break
            address = str(found or hop)
        return address

    def apply(self, environ: WSGIEnvironment) -> WSGIEnvironment:
        """Return the environment with the trusted proxies' headers applied."""
        if not self.trusts(_peer(environ)):
            return environ
        applied: dict[str, Any] = dict(environ)
        named = forwarded.parse(servers.header(environ, _FORWARDED))
        scheme = _last_word(environ, "HTTP_X_FORWARDED_PROTO")
        if named and not scheme:
            scheme = named[-1].get("proto", "")
        if scheme.lower() in {"http", "https"}:
            applied["wsgi.url_scheme"] = scheme.lower()
        prefix = _last_word(environ, "HTTP_X_FORWARDED_PREFIX").rstrip("/")
        if _is_path(prefix):
            self._mount(applied, prefix)
        return applied

    def _mount(self, environ: dict[str, Any], prefix: str) -> None:
        """
        Put a prefix in front of the mount.

        It is removed from the path only if the settings say that it is there; otherwise
        a path that no rule of the proxy matches could become one that a rule matches.
        """
        mount = str(environ.get("SCRIPT_NAME") or "")
        path = str(environ.get("PATH_INFO") or "")
        if not self._keeps_prefix:
            environ["SCRIPT_NAME"] = prefix + mount
        elif not mount and _is_under(path, prefix):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, path[len(prefix) :]


def bucket_of(address: str) -> str:
    """Return the key of an address; with IPv6 one person has a whole network."""
    kind, _, text = address.rpartition(" ")
    found = _parse(text)
    if isinstance(found, ipaddress.IPv6Address):
        shown = str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))
    else:
        shown = str(found or "unknown")
    return f"{kind} {shown}".strip()


def _parse(text: str) -> _Address | None:
    """Return the address of ``1.2.3.4``, ``1.2.3.4:5``, ``2001:db8::1``, ``[…]:5``."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _network(word: str) -> _Network:
    found = ipaddress.ip_network(word, strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        mapped = found.network_address.ipv4_mapped
        return ipaddress.ip_network((int(mapped or 0), found.prefixlen - 96))
    return found


def _peer(environ: WSGIEnvironment) -> str:
    address = str(environ.get("REMOTE_ADDR") or "")
    found = None if address in _NO_PEER else _parse(address)
    return str(found) if found else address


def _last_word(environ: WSGIEnvironment, name: str) -> str:
    """Return the value that the nearest proxy added."""
    return servers.header(environ, name).split(",")[-1].strip()


def _is_path(prefix: str) -> bool:
    """Return whether a prefix is a plain path that nobody can read as another host."""
    plain = prefix.isascii() and prefix.isprintable()
    odd = {"\\", "?", "#", "%", ";", " "} & set(prefix)
    parts = prefix.split("/")
    return plain and not odd and parts[0] == "" and not {"", ".", ".."} & {*parts[1:]}


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
