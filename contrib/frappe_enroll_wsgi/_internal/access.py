# SPDX-License-Identifier: MIT
"""
The access rules: who may call which route.

Operators sign in with a bearer token, with the dashboard's cookie, or with the host's
own login (the hook `authenticate_admin`). A browser sends the last two by itself, so
with them a request that changes something must come from our own pages.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import attrs
from werkzeug.wrappers import Request

from frappe_enroll_sdk import urls
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_sdk.settings.http import TOKEN_LINE
from frappe_enroll_sdk.settings.options import SHORTEST_SECRET

from . import cookies
from .errors import CrossSiteError, ForbiddenError, UnauthorizedError
from .guesses import Guesses
from .routing import Access, Operator, Route
from .sessions import Sessions


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "


class AccessRules:
    """The access rules of one SDK. Thread-safe."""

    def __init__(self, sdk: EnrollSDK, guesses: Guesses) -> None:
        self._sdk, self._guesses = sdk, guesses
        self._sessions = Sessions(sdk)

    @property
    def is_on(self) -> bool:
        """Whether the admin surface is on: somebody must be able to sign in."""
        hook = self._sdk.plugins.manager.hook.authenticate_admin
        return bool(self._sdk.settings.admin_tokens or hook.get_hookimpls())

    def admit(self, route: Route, request: Request) -> Operator | None:
        """
        Admit a request or refuse it.

        Returns:
            The operator on routes that need one, else None.

        Raises:
            NotFoundError: The surface is off: no token or cron secret is set.
            UnauthorizedError: No credentials, or wrong ones.
            ForbiddenError: The operator's role does not allow it.
            CrossSiteError: Another site sent the request.
            RateLimitedError: Too many wrong credentials came from this address.
        """
        if route.access is Access.CRON:
            self._admit_cron(request)
        if route.access is Access.SAME_ORIGIN:
            if not self.is_on:
                raise NotFoundError
            self.require_same_origin(request)
        if route.access in {Access.VIEWER, Access.OPERATOR}:
            return self._admit_operator(route, request)
        return None

    def _admit_cron(self, request: Request) -> None:
        secret = self._sdk.settings.cron_secret.value
        if not secret:
            raise NotFoundError
        given = request.headers.get("Authorization", "")
        if not given:
            raise UnauthorizedError
        with self._guesses.counted("cron", request):
            if not hmac.compare_digest(given.encode(), f"Bearer {secret}".encode()):
                raise UnauthorizedError

    def _admit_operator(self, route: Route, request: Request) -> Operator:
        if not self.is_on:
            raise NotFoundError
        operator = self._identify(request)
        if operator is None:
            raise UnauthorizedError
        if operator.ambient and request.method not in _SAFE:
            self.require_same_origin(request)
        if route.access is Access.OPERATOR and not operator.may_change:
            raise ForbiddenError
        return operator

    def _identify(self, request: Request) -> Operator | None:
        """Return who sent the request; a wrong bearer token is always refused."""
        given = request.headers.get("Authorization", "")
        if not given:
            return self._of_cookie(request) or self._of_host(request)
        if given[: len(_BEARER)].lower() != _BEARER:
            return None
        with self._guesses.counted("admin", request):
            return self._of_token(given[len(_BEARER) :].strip())

    def _of_token(self, token: str) -> Operator:
        # The settings know a token's hash only: one that was made up by hand, and that
        # can be guessed, opens nothing.
        long_enough = len(token) >= SHORTEST_SECRET
        found = self._of_hash(hash_token(token)) if long_enough else None
        if found is None:
            raise UnauthorizedError
        return found

    def _of_hash(self, digest: str) -> Operator | None:
        """Return the operator of a token's hash, in constant time over all lines."""
        found = None
        for line in self._sdk.settings.admin_tokens:
            parts = TOKEN_LINE.fullmatch(line.value)
            if parts and hmac.compare_digest(parts[3], digest):
                found = Operator(name=parts[2], role=parts[1])
        return found

    def _of_cookie(self, request: Request) -> Operator | None:
        """Return the session's operator while its token is in the settings."""
        cookie = self._session_of(request)
        found = self._of_hash(cookie.digest) if cookie else None
        return found and attrs.evolve(found, ambient=True)

    def _session_of(self, request: Request) -> cookies.Signed | None:
        """Return the session that a request's cookie names, if it is alive."""
        return self._sessions.read(request.cookies.get(self.cookie_name(request)))

    def is_secure(self, request: Request) -> bool:
        """Return whether browsers use HTTPS."""
        url = self._sdk.settings.public_url
        return urls.parse(url).scheme == "https" if url else request.is_secure

    def cookie_name(self, request: Request) -> str:
        """Return the name of the session cookie."""
        return cookies.HOST_NAME if self.is_secure(request) else cookies.NAME

    def _of_host(self, request: Request) -> Operator | None:
        found = self._sdk.plugins.authenticate_admin(request.environ)
        if found is None:
            return None
        name, role = found
        return Operator(name=name, role=role, ambient=True)

    def sign_in(self, token: str, request: Request) -> str:
        """
        Open a session for a token and return the cookie's value (audited).

        It replaces the browser's former session, which ends.

        Raises:
            UnauthorizedError: The token is unknown, or no key signs cookies.
            RateLimitedError: Too many wrong credentials came from this address.
        """
        if not self._sdk.settings.secret_key.value:
            raise UnauthorizedError
        with self._guesses.counted("sign_in", request):
            try:
                who = self._of_token(token)
            except UnauthorizedError:
                self._note("nobody", "sign_in_failed", "unknown token")
                raise
        former = self._session_of(request)
        value = self._sessions.open(hash_token(token))
        if former is not None:
            self._sessions.close(former)
        self._note(who.name, "sign_in", "with a token")
        return value

    def sign_out(self, request: Request) -> None:
        """Close the session of a request, if it has one (audited)."""
        cookie = self._session_of(request)
        if cookie is None:
            return
        self._sessions.close(cookie)
        who = self._of_hash(cookie.digest)
        if who is not None:
            self._note(who.name, "sign_out", "with the button")

    def _note(self, actor: str, action: str, reason: str) -> None:
        self._sdk.admin.note(actor, action, "dashboard", reason)

    def require_same_origin(self, request: Request) -> None:
        """Refuse requests from other sites, as the browser reports them."""
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            if site == "same-origin":
                return
            raise CrossSiteError
        if request.headers.get("Origin") not in self._origins(request):
            raise CrossSiteError

    def _origins(self, request: Request) -> set[str]:
        """Return our origin: the configured one, else the request's."""
        if public_url := self._sdk.settings.public_url:
            return {urls.parse(public_url).origin}
        return {f"{request.scheme}://{request.host}"}
