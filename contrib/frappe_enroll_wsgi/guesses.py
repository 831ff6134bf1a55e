# SPDX-License-Identifier: MIT
"""Wrong credentials, counted for the client's address: right ones cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import UnauthorizedError


if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from .proxies import Proxies
    from .ratelimits import Limits


class Guesses:
    """The guesses at the secrets of one SDK. Thread-safe."""

    def __init__(self, limits: Limits, proxies: Proxies) -> None:
        self._limits, self._proxies = limits, proxies

    @contextmanager
    def counted(self, name: str, request: Request) -> Iterator[None]:
        """
        Look at credentials under a limit.

        Raises:
            RateLimitedError: So many were wrong that these are not looked at.
            UnauthorizedError: These are wrong; they have been counted.
        """
        clients = self._proxies.clients(request.environ)
        for client in clients:
            self._limits.require_left(name, client)
        try:
            yield
        except UnauthorizedError:
            for client in clients:
                self._limits.hit_address(name, client)
            raise
