# SPDX-License-Identifier: MIT
"""
The fence around frappe-client's HTTP session.

frappe-client 0.1.0.dev0 sets no time-out, follows redirects, keeps cookies (a cookie's
user wins over the token's on the server) and never looks at a status. Its session is
replaced by this one, which does all four before the client sees an answer.
"""

from __future__ import annotations

import json
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import attrs
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from frappe_enroll_sdk.connections import Fencing
from frappe_enroll_sdk.deadline import Call, within
from frappe_enroll_sdk.errors import BackendRejectedError, LMSUnavailableError

from .classify import Meaning, classify, error_of


_CONNECT_S = 3.05
_CHUNK = 16_384
#: How Werkzeug's pages begin, unlike those of any proxy we know.
_OWN_PAGE = b"<!doctype html>\n<html lang=en>\n<title>"


class RefusedStatusError(BackendRejectedError):
    """
    A refusal, with what the verbs need to distinguish cases.

    Attributes:
        status: HTTP status.
        exc_type: Frappe's exception class.
    """

    def __init__(self, message: str, status: int, exc_type: str | None) -> None:
        super().__init__(message)
        self.status, self.exc_type = status, exc_type


class _Adapter(Fencing, HTTPAdapter):
    """Connections that respect the current call's deadline."""

    new_context = staticmethod(create_urllib3_context)


class FencedSession(requests.Session):
    """
    A session with a total deadline per call and typed errors; owned by one thread.

    Attributes:
        verb: The verb being called (for the classification).
        timeout_s: Total seconds for one call: connecting, waiting and reading. Several
            calls for one verb share a `within` block.
    """

    def __init__(self, site: str) -> None:
        super().__init__()
        self.verb, self.timeout_s = "", 15.0
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Keeps a .netrc from replacing our Authorization header.
        self.auth = _leave_alone
        if site:
            self.headers["Host"] = site

    def request(  # type: ignore[override]  # all options are passed through
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """Make one call within the verb's deadline; raise the error in its answer."""
        options |= {
            "timeout": (_CONNECT_S, self.timeout_s),
            "allow_redirects": False,
            "stream": True,
        }
        headers = dict(options.pop("headers", None) or {})
        headers["Accept"] = "application/json"
        with within(self.timeout_s) as call:
            try:
                response = super().request(method, url, headers=headers, **options)
                _read(response, call)
            # An OSError: the deadline passed, or the answer is too large.
            except (requests.exceptions.RequestException, OSError) as error:
                cause, reached = call.cause_of(error), call.may_have_acted
                _hide_words(error)
                how = "was reached and is slow" if reached else "can't be reached"
                raise LMSUnavailableError(
                    f"the LMS {how}: {cause}", unclear=reached
                ) from error
        self._check(response)
        return response

    def _check(self, response: requests.Response) -> None:
        body = _json_of(response)
        exc_type = None if body is None else _type_of(body)
        verdict = classify(
            response.status_code,
            exc_type,
            is_json=body is not None,
            verb=self.verb,
            is_frappes_page=response.content.lstrip().startswith(_OWN_PAGE),
        )
        if verdict.meaning is Meaning.SUCCESS:
            return
        if verdict.meaning is Meaning.PERMANENT:
            raise RefusedStatusError(verdict.cause, response.status_code, exc_type)
        cause = verdict.cause
        if 300 <= response.status_code < 400:  # noqa: PLR2004
            cause += _target(response)
        raise error_of(attrs.evolve(verdict, cause=cause), _retry_after(response))


def _type_of(body: dict[str, Any]) -> str | None:
    """Return Frappe's exception class, from either version of its API."""
    told = body.get("exc_type")
    errors = body.get("errors")
    if told is None and isinstance(errors, list) and errors:
        told = errors[0].get("type") if isinstance(errors[0], dict) else None
    if told is None and body.get("exc"):
        told = "unknown"
    return told if isinstance(told, str) else None


def _target(response: requests.Response) -> str:
    """Return a redirect's target, without anything secret or personal."""
    try:
        parts = urlsplit(response.headers.get("Location", ""))
        where = f"{parts.scheme}://{parts.hostname}" if parts.hostname else ""
        port = f":{parts.port}" if where and parts.port else ""
    except ValueError:
        return ""
    return f" ({where}{port})" if where else ""


def _hide_words(error: BaseException) -> None:
    """
    Remove the text of an error and of its causes; keep their classes.

    The texts contain the called URL, and with it a learner's address, which would be
    logged along with our error and its causes.
    """
    seen: BaseException | None = error
    while seen is not None:
        seen.args = (f"({type(seen).__name__})",)
        seen = seen.__cause__ or seen.__context__


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(response: requests.Response, call: Call) -> None:
    """Read the body, and keep it in the response."""
    with response:
        body = call.join(response.iter_content(_CHUNK))
    # The response's `content` and `json()` use this from now on.
    response._content = body  # noqa: SLF001  requests has no other way


def _json_of(response: requests.Response) -> dict[str, Any] | None:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None
