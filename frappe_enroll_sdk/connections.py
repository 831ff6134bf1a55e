# SPDX-License-Identifier: MIT
"""
Connections whose every step looks at the call under way (`frappe_enroll_sdk.deadline`).

Connecting, TLS, sending and receiving get the time that is left, and what comes in is
counted. Clients of any library work on them: urllib (`opener`), urllib3 and with it
requests (`fence`), smtplib (`connect` and `tls`).
"""

from __future__ import annotations

import functools
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.request import (
    BaseHandler,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    build_opener,
)

from .deadline import Call, in_time, under_way, within


if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


__all__ = ("Fencing", "connect", "fence", "opener", "tls")


#: Default seconds for connecting.
_CONNECT_S = 60.0


def connect(
    address: tuple[str, int],
    timeout_s: Any = None,
    source_address: tuple[str, int] | None = None,
    options: Iterable[tuple[Any, ...]] | None = None,
) -> socket.socket:
    """
    Return a connection whose every step respects the current call's deadline.

    Replaces `socket.create_connection`. `timeout_s` (if it is a number) covers looking
    up the host's name and trying all of its addresses.
    """
    limit_s = timeout_s if isinstance(timeout_s, int | float) else _CONNECT_S
    with within(limit_s) as inner:
        inner.used = True
        return _connect(address, source_address, tuple(options or ()))


def _connect(
    address: tuple[str, int],
    source_address: tuple[str, int] | None,
    options: tuple[tuple[Any, ...], ...],
) -> socket.socket:
    failure: OSError | None = None
    for family, kind, protocol, _, place in _places(*address):
        link = _Socket(family, kind, protocol)
        try:
            for option in options:
                link.setsockopt(*option)
            if source_address:
                link.bind(source_address)
            link.connect(place)
        except OSError as error:
            link.close()
            failure = error
        else:
            return link
    raise failure or OSError("the host has no address")


def _places(host: str, port: int) -> list[Any]:
    host = host.strip("[]")
    ask = functools.partial(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return in_time(ask)
    return ask()


def tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make a context's sockets respect the current call's deadline; return it."""
    context.sslsocket_class = _TLSSocket
    return context


def opener(*handlers: BaseHandler) -> OpenerDirector:
    """
    Return a urllib opener that uses such connections, for calls in a `within` block.

    It verifies certificates, uses the environment's proxies, and follows no redirects:
    a redirect is raised as `HTTPError`, like any other error status.
    """
    return build_opener(_Handler(), _TLSHandler(), _Stay, *handlers)


def fence(pools: Any, context: ssl.SSLContext) -> None:
    """
    Make a pool manager of urllib3 (requests has one, too) use such connections.

    Args:
        pools: The `PoolManager` or `ProxyManager`.
        context: For TLS connections, including those to proxies.
    """
    pools.pool_classes_by_scheme = {
        scheme: _fenced(pool) for scheme, pool in pools.pool_classes_by_scheme.items()
    }
    pools.connection_pool_kw["ssl_context"] = tls(context)
    if getattr(pools, "proxy_config", None) is not None:
        pools.proxy_config = pools.proxy_config._replace(ssl_context=context)
        pools.connection_pool_kw["_proxy_config"] = pools.proxy_config


class Fencing:
    """Mixin for requests' HTTPAdapter: its connections respect the call's deadline."""

    #: Creates the context of TLS connections; the plugin brings it with its driver.
    new_context: Callable[[], ssl.SSLContext]

    def init_poolmanager(self: Any, *arguments: Any, **options: Any) -> None:
        """Fence the adapter's own connections."""
        super().init_poolmanager(*arguments, **options)  # type: ignore[misc]  # HTTPAdapter's
        fence(self.poolmanager, self.new_context())

    def proxy_manager_for(self: Any, proxy: str, **options: Any) -> Any:
        """Fence connections to a proxy; SOCKS proxies only have time-outs per step."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)  # type: ignore[misc]  # the same
        if is_new and not proxy.lower().startswith("socks"):
            fence(manager, self.new_context())
        return manager


@functools.cache
def _fenced(pool: Any) -> Any:
    """Return a urllib3 pool class with our connections, without importing urllib3."""
    if issubclass(pool.ConnectionCls, _Fenced):
        return pool
    inner = type("FencedConnection", (_Fenced, pool.ConnectionCls), {})
    return type("FencedPool", (pool,), {"ConnectionCls": inner})


class _Fenced:
    """How a fenced urllib3 connection connects."""

    def _new_conn(self: Any) -> socket.socket:
        place = self._dns_host, self.port
        return connect(place, self.timeout, self.source_address, self.socket_options)


class _Socket(socket.socket):
    """A socket that limits each step to the time left in its call."""

    def connect(self, address: Any) -> None:
        _arm(self)
        super().connect(address)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        _arm(self, sending=True)
        return super().send(data, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        _arm(self, sending=True)
        super().sendall(data, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        call = _arm(self)
        data = super().recv(size, flags)
        if call is not None:
            call.count(len(data))
        return data

    def recv_into(self, buffer: WriteableBuffer, size: int = 0, flags: int = 0) -> int:
        call = _arm(self)
        count = super().recv_into(buffer, size, flags)
        if call is not None:
            call.count(count)
        return count


class _TLSSocket(ssl.SSLSocket):
    """The same over TLS; OpenSSL also applies the time-out to each step as a whole."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  ssl's
        _arm(self)
        super().do_handshake(block)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        _arm(self, sending=True)
        return super().send(data, flags)

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        call = _arm(self)
        got: Any = super().read(size, buffer)
        if call is not None:
            call.count(len(got) if buffer is None else got)
        return got


def _arm(link: socket.socket, *, sending: bool = False) -> Call | None:
    call = under_way()
    if call is not None:
        call.used = True
        link.settimeout(call.left_s())
        call.sent = call.sent or sending
    return call


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        # http.client provides this attribute so that connecting can be replaced.
        self._create_connection = connect
        super().connect()


class _TLSConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Handler(HTTPHandler):
    def http_open(self, req: Any) -> Any:
        return self.do_open(_Connection, req)


class _TLSHandler(HTTPSHandler):
    def https_open(self, req: Any) -> Any:
        context = tls(ssl.create_default_context())
        context.set_alpn_protocols(["http/1.1"])
        more: dict[str, Any] = {"context": context}
        return self.do_open(_TLSConnection, req, **more)


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow no redirect: only the named host is called."""
