# SPDX-License-Identifier: MIT
"""
A host without any framework: one page of its own, and the surface under /enroll.

``application`` is a plain WSGI callable, for any server: ``gunicorn app:application``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any
from urllib.parse import parse_qs

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_wsgi import create_app


COURSE = "python-101"
_MAX_BYTES = 10_000

Start = Callable[..., Any]


def host_of(sdk: EnrollSDK) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """Return the host's own page: a form, and what it leads to."""

    def host(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "") not in ("", "/"):
            return _page(start, "404 Not Found", "There is no such page.")
        if environ["REQUEST_METHOD"] != "POST":
            return _page(start, "200 OK", _FORM)
        length = min(int(environ.get("CONTENT_LENGTH") or 0), _MAX_BYTES)
        fields = parse_qs(environ["wsgi.input"].read(length).decode("utf-8", "replace"))
        try:
            checkout = sdk.checkout(
                course_id=COURSE,
                email=fields.get("email", [""])[0],
                coupon_code=fields.get("code", [""])[0] or None,
            )
        except EnrollError as error:
            words = f"<p role=alert>{escape(error.public_message)}</p>{_FORM}"
            return _page(start, f"{error.http_status} Refused", words)
        if checkout.next_url is None:
            return _page(start, "200 OK", "<p>You are enrolled.</p>")
        start("303 See Other", [("Location", checkout.next_url)])
        return [b""]

    return host


_FORM = (
    "<form method=post><label>E-mail <input name=email type=email required></label> "
    "<label>Code <input name=code></label> <button>Enroll</button></form>"
)


def _page(start: Start, status: str, body: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/html; charset=utf-8")])
    html = f"<!doctype html><html lang=en><title>Course</title><h1>Course</h1>{body}"
    return [html.encode()]


def application_of(sdk: EnrollSDK) -> Any:
    """Return the host with the surface mounted under /enroll."""
    return DispatcherMiddleware(host_of(sdk), {"/enroll": create_app(sdk)})


def __getattr__(name: str) -> Any:
    """Make ``application`` when a server asks for it, from the environment."""
    if name != "application":
        raise AttributeError(name)
    return application_of(EnrollSDK.from_env())
