# SPDX-License-Identifier: MIT
"""
The fence around frappe-client's HTTP session.

frappe-client 0.1.0.dev0 sets no time-out, follows redirects, keeps cookies (a cookie's
user wins over the token's on the server) and never looks at a status. Its session is
replaced by this one, which does all four before the client sees an answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3

from frappe_enroll_sdk.errors import BackendRejectedError, LMSUnavailableError

from .classify import Meaning, classify, error_of
from .quiet import keep_quiet


_CONNECT_S = 3.05
#: Seconds that a further call of a verb gets, however long the first one took.
_LEAST_S = 0.05
_CHUNK = 16_384
#: An answer larger than this is not an LMS's.
_MOST_BYTES = 20_000_000


class RefusedStatusError(BackendRejectedError):
    """
    A refusal, with what the verbs need to tell cases apart.

    Attributes:
        status: HTTP status.
        exc_type: Frappe's class of the refusal.
    """

    def __init__(self, message: str, status: int, exc_type: str | None) -> None:
        super().__init__(message)
        self.status, self.exc_type = status, exc_type


class FencedSession(requests.Session):
    """
    A session with a total time per call and typed errors; owned by one thread.

    Attributes:
        verb: The verb that is being called (for the classification).
        ends: When the verb's time is over, on the monotonic clock: all its calls
            together, connecting, waiting and reading.
    """

    def __init__(self, site: str) -> None:
        keep_quiet()
        super().__init__()
        self.verb, self.ends = "", 0.0
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Keeps a .netrc from replacing our Authorization header.
        self.auth = _leave_alone
        if site:
            self.headers["Host"] = site

    def begin(self, timeout_s: float) -> None:
        """Give a verb its time."""
        self.ends = time.monotonic() + timeout_s

    def request(  # type: ignore[override]  # every option passes through
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """Make one call within the verb's time; raise what its answer means."""
        left_s = max(self.ends - time.monotonic(), _LEAST_S)
        options |= {
            "timeout": (min(_CONNECT_S, left_s), left_s),
            "allow_redirects": False,
            "stream": True,
        }
        ends = time.monotonic() + left_s
        headers = dict(options.pop("headers", None) or {})
        headers["Accept"] = "application/json"
        try:
            response = super().request(method, url, headers=headers, **options)
            _read(response, ends)
        except requests.exceptions.RequestException as error:
            sent = not _never_connected(error)
            _hide_words(error)
            raise LMSUnavailableError(
                f"the LMS can't be reached ({type(error).__name__})", unclear=sent
            ) from error
        self._check(response)
        return response

    def _check(self, response: requests.Response) -> None:
        body = _json_of(response)
        exc_type = body.get("exc_type") if body is not None else None
        if body is not None and exc_type is None and body.get("exc"):
            exc_type = "unknown"
        verdict = classify(
            response.status_code,
            exc_type if isinstance(exc_type, str) else None,
            is_json=body is not None,
            verb=self.verb,
        )
        if verdict.meaning is Meaning.SUCCESS:
            return
        if verdict.meaning is Meaning.PERMANENT:
            raise RefusedStatusError(verdict.cause, response.status_code, exc_type)
        raise error_of(verdict, _retry_after(response))


def _hide_words(error: BaseException) -> None:
    """
    Take the words out of an error and of what it came from; their classes stay.

    They hold the URL that was called, and with it a learner's address; whoever logs
    our error with its causes would log that too.
    """
    seen: BaseException | None = error
    while seen is not None:
        seen.args = (f"({type(seen).__name__})",)
        seen = seen.__cause__ or seen.__context__


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(response: requests.Response, ends: float) -> None:
    """Read the body within the time: a server that drips bytes must not hold us."""
    chunks, size = [], 0
    for chunk in _arrivals(response):
        chunks.append(chunk)
        size += len(chunk)
        if time.monotonic() > ends or size > _MOST_BYTES:
            response.close()
            raise requests.exceptions.ReadTimeout("the answer took too long")
    # What `content` and `json()` of the response answer from now on.
    response._content = b"".join(chunks)  # noqa: SLF001  requests has no other way


def _arrivals(response: requests.Response) -> Iterator[bytes]:
    """Yield what has arrived; `iter_content` would wait for a whole chunk of it."""
    read1 = getattr(response.raw, "read1", None)
    if read1 is None:  # urllib3 before 2.1
        yield from response.iter_content(_CHUNK)
        return
    try:
        while chunk := read1(_CHUNK, decode_content=True):
            yield chunk
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def _json_of(response: requests.Response) -> dict[str, Any] | None:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None


def _never_connected(error: BaseException) -> bool:
    """Tell whether the connection was refused before anything was sent."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    inner = getattr(reason, "reason", None)
    return type(inner).__name__ in {"NewConnectionError", "NameResolutionError"}
