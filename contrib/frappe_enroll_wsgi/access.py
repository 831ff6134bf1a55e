# SPDX-License-Identifier: MIT
"""
Who gets in, decided in one place; whoever has no rule stays outside.

Operators come by a bearer token, by the dashboard's cookie, or by the host's own login
(the hook `authenticate_admin`). The last two are sent along by a browser on its own, so
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

from . import cookies
from .errors import CrossSiteError, ForbiddenError, UnauthorizedError
from .guesses import Guesses
from .routes import Access, Route
from .sessions import Sessions


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "


@attrs.frozen(kw_only=True)
class Operator:
    """
    Who acts on the admin surface.

    Attributes:
        name: Goes into the audit trail.
        role: ``viewer`` or ``operator``.
        ambient: Whether a browser sends the credentials by itself.
    """

    name: str
    role: str
    ambient: bool = False

    @property
    def may_change(self) -> bool:
        """Whether the role lets them change things."""
        return self.role == "operator"


class Gatekeeper:
    """The access rules of one SDK. Thread-safe."""

    def __init__(self, sdk: EnrollSDK, guesses: Guesses) -> None:
        self._sdk, self._guesses = sdk, guesses
        self._sessions = Sessions(sdk)

    @property
    def is_on(self) -> bool:
        """Whether there is an admin surface at all: somebody must be able to get in."""
        hook = self._sdk.plugins.manager.hook.authenticate_admin
        return bool(self._sdk.settings.admin_tokens or hook.get_hookimpls())

    def admit(self, route: Route, request: Request) -> Operator | None:
        """
        Let a request in, or refuse it.

        Returns:
            The operator on routes that need one, else None.

        Raises:
            NotFoundError: The surface is off: no token, no cron secret is set.
            UnauthorizedError: No credentials, or wrong ones.
            ForbiddenError: The operator's role does not allow it.
            CrossSiteError: The credentials came along with another site's request.
            RateLimitedError: Too many wrong ones came from this address.
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
        """Return who sends the request; a wrong bearer token is never overlooked."""
        given = request.headers.get("Authorization", "")
        if not given:
            return self._of_cookie(request) or self._of_host(request)
        if given[: len(_BEARER)].lower() != _BEARER:
            return None
        with self._guesses.counted("admin", request):
            return self._of_token(given[len(_BEARER) :].strip())

    def _of_token(self, token: str) -> Operator:
        found = self._of_hash(hash_token(token))
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
        """Return the operator of the session, while its token is in the settings."""
        told = self._sessions.read(request.cookies.get(self.cookie_name(request)))
        found = self._of_hash(told.digest) if told else None
        return found and attrs.evolve(found, ambient=True)

    def is_secure(self, request: Request) -> bool:
        """Tell whether browsers come by HTTPS."""
        url = self._sdk.settings.public_url
        return urls.parse(url).scheme == "https" if url else request.is_secure

    def cookie_name(self, request: Request) -> str:
        """Return the name of the dashboard's cookie."""
        return cookies.HOST_NAME if self.is_secure(request) else cookies.NAME

    def _of_host(self, request: Request) -> Operator | None:
        told = self._sdk.plugins.authenticate_admin(request.environ)
        if told is None:
            return None
        name, role = told
        return Operator(name=name, role=role, ambient=True)

    def sign_in(self, token: str, request: Request) -> str:
        """
        Begin a session for a token, and return the cookie's value; audited.

        Raises:
            UnauthorizedError: No such token, or no key to sign a cookie with.
            RateLimitedError: Too many wrong ones came from this address.
        """
        if not self._sdk.settings.secret_key.value:
            raise UnauthorizedError
        with self._guesses.counted("sign_in", request):
            try:
                who = self._of_token(token)
            except UnauthorizedError:
                self._note("nobody", "sign_in_failed", "the token is not known")
                raise
        value = self._sessions.open(hash_token(token))
        self._note(who.name, "sign_in", "with a token")
        return value

    def sign_out(self, request: Request) -> None:
        """End the session of a request, if it has one; audited."""
        told = self._sessions.read(request.cookies.get(self.cookie_name(request)))
        if told is None:
            return
        self._sessions.close(told)
        who = self._of_hash(told.digest)
        if who is not None:
            self._note(who.name, "sign_out", "with the button")

    def _note(self, actor: str, action: str, reason: str) -> None:
        self._sdk.admin.note(actor, action, "dashboard", reason)

    def require_same_origin(self, request: Request) -> None:
        """Refuse what another site's page sends: by the browser's own word."""
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            if site == "same-origin":
                return
            raise CrossSiteError
        if request.headers.get("Origin") not in self._origins(request):
            raise CrossSiteError

    def _origins(self, request: Request) -> set[str]:
        """Return our own origins: the configured one, else the one that was called."""
        if public_url := self._sdk.settings.public_url:
            return {urls.parse(public_url).origin}
        return {f"{request.scheme}://{request.host}"}
