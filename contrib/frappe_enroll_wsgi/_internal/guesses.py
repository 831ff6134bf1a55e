# SPDX-License-Identifier: MIT
"""Limit wrong credentials by client address; right ones cost nothing."""

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
    """Counts guesses at the secrets of one SDK. Thread-safe."""

    def __init__(self, limits: Limits, proxies: Proxies) -> None:
        self._limits, self._proxies = limits, proxies

    @contextmanager
    def counted(self, name: str, request: Request) -> Iterator[None]:
        """
        Check credentials within, and count them if they are wrong.

        Raises:
            RateLimitedError: Too many were wrong; these are not checked.
            UnauthorizedError: These are wrong and were counted.
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
