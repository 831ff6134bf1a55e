# SPDX-License-Identifier: MIT
"""`FrappeEnroll`: builds the SDK of an application and mounts its surface there."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import Any, cast

from flask import Flask, current_app
from werkzeug.local import LocalProxy

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.errors import ConfigurationError, EnrollError
from frappe_enroll_sdk.settings.options import SHORTEST_SECRET
from frappe_enroll_wsgi import Surface, problems

from .blueprints import blueprints_of
from .commands import enroll_group
from .csrf import exempt


EXTENSION = "frappe_enroll"
_PREFIX = "FRAPPE_ENROLL_URL_PREFIX"


def _current() -> EnrollSDK:
    return cast("EnrollSDK", current_app.extensions[EXTENSION])


#: The SDK of the application that handles the request.
current_enroll = cast("EnrollSDK", LocalProxy(_current))


class FrappeEnroll:
    """
    The extension; it keeps nothing of an application, so several may share one.

    ``app.extensions["frappe_enroll"]`` is the application's `EnrollSDK`. Config keys
    are the variables of the settings (``FRAPPE_ENROLL_…``, ``STRIPE_SECRET_KEY``,
    ``DATABASE_URL``, …; the environment is read where the config says nothing), and:

    ``FRAPPE_ENROLL_URL_PREFIX``
        Where the blueprints are mounted; default ``/enroll``.

    Without ``FRAPPE_ENROLL_SECRET_KEY``, a key derived from the application's
    ``SECRET_KEY`` (of 16 characters or more) signs the dashboard's cookie.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        sdk: EnrollSDK | None = None,
        url_prefix: str | None = None,
    ) -> None:
        """
        Prepare the extension, and mount it if an application is given.

        Args:
            app: The application, or None to call `init_app` later.
            sdk: An SDK instead of one that is built from ``app.config``.
            url_prefix: Where to mount; instead of ``FRAPPE_ENROLL_URL_PREFIX``.
        """
        self._sdk, self._url_prefix = sdk, url_prefix
        if app is not None:
            self.init_app(app)

    def init_app(
        self,
        app: Flask,
        *,
        sdk: EnrollSDK | None = None,
        url_prefix: str | None = None,
    ) -> None:
        """
        Mount the surface in an application; nothing is connected yet.

        The application's own handlers for `EnrollError` and its children win over ours,
        before or after this call.

        Raises:
            ConfigurationError: The application has the extension already, or its
                settings do not fit; the text says what to do.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("FrappeEnroll is initialised for this app already")
        chosen = sdk or self._sdk or EnrollSDK(_settings_of(app))
        given = self._url_prefix if url_prefix is None else url_prefix
        prefix = str(app.config.get(_PREFIX, "/enroll") if given is None else given)
        prefix = f"/{prefix.strip('/')}".rstrip("/")
        app.extensions[EXTENSION] = chosen
        for blueprint in blueprints_of(Surface(chosen), prefix):
            app.register_blueprint(blueprint, url_prefix=prefix or None)
        if EnrollError not in app.error_handler_spec[None][None]:
            app.register_error_handler(EnrollError, problems.of_error)
        exempt(app)
        app.before_request(_exempt_late)
        app.cli.add_command(enroll_group)


def _exempt_late() -> None:
    """Tell a CSRFProtect that was initialised after us."""
    exempt(current_app)


def _as_written(key: str, value: object) -> Any:
    """
    Return a config value as the environment spells it, where it came from there.

    `from_prefixed_env` reads values as JSON: a key of digits with an "e" among them
    becomes a number that no longer says which text it was.
    """
    if not isinstance(value, (int, float)):
        return value
    for name, text in os.environ.items():
        if name.endswith(f"_{key}") and _is_same(text, value):
            return text
    return value


def _is_same(text: str, value: float) -> bool:
    try:
        read = json.loads(text)
    except ValueError:
        return False
    return type(read) is type(value) and read == value


def _settings_of(app: Flask) -> Settings:
    config = {k: _as_written(k, v) for k, v in app.config.items() if k != _PREFIX}
    key = app.secret_key
    secret = key.encode() if isinstance(key, str) else key or b""
    # A key that can be guessed stays one, whatever is derived from it.
    if len(secret) >= SHORTEST_SECRET and not config.get("FRAPPE_ENROLL_SECRET_KEY"):
        label = b"frappe-enroll dashboard cookie"
        derived = hmac.new(secret, label, hashlib.sha256).hexdigest()
        if not Settings.from_env(config=config).secret_key:
            config["FRAPPE_ENROLL_SECRET_KEY"] = derived
    return Settings.from_env(config=config)
