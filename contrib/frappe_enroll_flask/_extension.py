# SPDX-License-Identifier: MIT
"""`FrappeEnroll`: build an application's SDK and mount its surface."""

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
from frappe_enroll_sdk.settings.http import SHORTEST_SECRET
from frappe_enroll_wsgi import Surface, problems

from ._blueprints import blueprints_of
from ._commands import enroll_group
from ._csrf import exempt


EXTENSION = "frappe_enroll"
_PREFIX = "FRAPPE_ENROLL_URL_PREFIX"


def _current() -> EnrollSDK:
    return cast("EnrollSDK", current_app.extensions[EXTENSION])


#: The SDK of the current application.
current_enroll = cast("EnrollSDK", LocalProxy(_current))


class FrappeEnroll:
    """
    The extension; it holds no state of an application, so several may share it.

    ``app.extensions["frappe_enroll"]`` is the application's `EnrollSDK`. Config keys
    are the variables of the settings (``FRAPPE_ENROLL_…``, ``STRIPE_SECRET_KEY``,
    ``DATABASE_URL``, …; the environment fills in what the config lacks), and:

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
        Create the extension, and mount it if an application is given.

        Args:
            app: The application, or None to call `init_app` later.
            sdk: An SDK to use instead of building one from ``app.config``.
            url_prefix: Prefix to use instead of ``FRAPPE_ENROLL_URL_PREFIX``.
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
        Mount the surface in an application, without connecting to anything.

        The application's own handlers for `EnrollError` and its subclasses win over
        ours, whether they are registered before or after this call.

        Raises:
            ConfigurationError: The application already has the extension, or its
                settings are invalid; the message says what to do.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("FrappeEnroll is already initialised for this app")
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
    """Exempt the blueprints from a CSRFProtect that was initialised after us."""
    exempt(current_app)


def _as_written(key: str, value: object) -> Any:
    """
    Return a config value as the environment spells it, if it came from there.

    `from_prefixed_env` parses values as JSON: a key made of digits and one "e" becomes
    a number and loses its spelling.
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
    # A key derived from a guessable one is guessable, too.
    if len(secret) >= SHORTEST_SECRET and not config.get("FRAPPE_ENROLL_SECRET_KEY"):
        label = b"frappe-enroll dashboard cookie"
        derived = hmac.new(secret, label, hashlib.sha256).hexdigest()
        if not Settings.from_env(config=config).secret_key:
            config["FRAPPE_ENROLL_SECRET_KEY"] = derived
    return Settings.from_env(config=config)
