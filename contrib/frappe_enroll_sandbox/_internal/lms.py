# SPDX-License-Identifier: MIT
"""`LMSSandbox`: a stand-in for Frappe LMS's REST API on loopback."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from frappe_enroll_sdk.clock import Clock, OffsetClock

from .faults import Fault, FaultPlan
from .lms_model import Json, LMSSite
from .refusals import FrappeRefusal
from .server import DropConnection, LoopbackServer


_HANG_S = 60.0
_PAGE = "<!doctype html><title>{title}</title><h1>{title}</h1>"
_DEFAULT_PAGE_LENGTH = 20
_KINDS = (
    *("html", "error", "redirect", "hang", "latency", "drip", "reset", "throttled"),
    *("empty", "error_body", "commit_then_timeout", "commit_then_500", "commit_later"),
)


class LMSSandbox(LoopbackServer):
    """
    A simulated Frappe LMS site for the real ``frappe-client`` package.

    A context manager. Faults: ``html`` (with `status`), ``error`` (JSON, with `status`
    and header ``exc_type``), ``redirect``, ``hang``, ``latency``, ``drip``, ``reset``,
    ``throttled`` (429), ``empty`` (200 with an empty list), ``error_body`` (200 with an
    error inside), ``commit_then_timeout``, ``commit_then_500``, ``commit_later``.

    Attributes:
        api_key: The accepted API key; its secret is `api_secret`.
        site: The site's data and its switches (duplicates, role, …).
        host: Required Host header; "" = any.
        tracebacks: Whether error bodies include ``exc`` (a system setting).
        faults: The planned faults.
        requests: (method, path) of every request so far.
    """

    def __init__(self, clock: Clock | None = None, *, port: int = 0) -> None:
        super().__init__(self._answer, port)
        self.clock = clock or OffsetClock()
        self.api_key, self.api_secret = "sandbox-key", "sandbox-secret"
        self.site = LMSSite(self.clock)
        self.host = ""
        self.tracebacks = True
        self.faults = FaultPlan(*_KINDS)
        self.requests: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def fail_next(self, pattern: str, kind: str, **more: Any) -> Fault:
        """Plan a fault for matching requests, e.g. ``"POST .*Enrollment"``."""
        return self.faults.add(Fault(pattern=pattern, kind=kind, **more))

    def heal(self) -> None:
        """Forget all faults."""
        self.faults.clear()

    def close(self) -> None:
        """Close for good and release hanging requests."""
        self.heal()
        super().close()

    def _answer(self, request: Request) -> Response:
        with self._lock:
            self.requests.append((request.method, request.path))
        fault = self.faults.take(request.method, request.path)
        if fault is not None and fault.kind == "latency":
            self.faults.hang(fault.seconds)
        elif fault is not None and fault.kind == "commit_later":
            return self._commit_later(request, fault)
        elif fault is not None and not fault.kind.startswith("commit"):
            return self._fail(fault)
        response = self._serve(request)
        if fault is not None and fault.kind == "commit_then_timeout":
            self.faults.hang(fault.seconds or _HANG_S)
            raise DropConnection
        if fault is not None and fault.kind == "commit_then_500":
            return _page(500, "Internal Server Error")
        return response

    def _commit_later(self, request: Request, fault: Fault) -> Response:
        """Hang without an answer, but still write `seconds` later."""
        # Read the request's body before the connection is gone.
        request.get_data()
        self.faults.hang(fault.seconds)
        self._serve(request)
        raise DropConnection

    def _fail(self, fault: Fault) -> Response:
        if fault.kind == "hang":
            self.faults.hang(fault.seconds or _HANG_S)
            raise DropConnection
        if fault.kind == "reset":
            raise DropConnection
        if fault.kind == "drip":
            return Response(_drip(fault.seconds), content_type="application/json")
        if fault.kind == "redirect":
            headers = {"Location": f"{self.url}/api/resource/elsewhere"}
            return Response(_PAGE.format(title="Moved"), 301, headers)
        if fault.kind == "empty":
            return _json({"data": []})
        if fault.kind == "error_body":
            return _json({"exc_type": "ValidationError", "exc": "[]"})
        if fault.kind == "throttled":
            refusal = FrappeRefusal(429, "TooManyRequestsError", "Too Many Requests")
            return self._error(refusal, fault.headers)
        if fault.kind == "error":
            exc_type = fault.headers.get("exc_type", "Exception")
            return self._error(FrappeRefusal(fault.status, exc_type, "A planned fault"))
        return _page(fault.status, "A planned fault")

    def _serve(self, request: Request) -> Response:
        if self.host and request.host.partition(":")[0] != self.host:
            return _page(404, f"{request.host} does not exist")
        try:
            self._authorise(request)
            return self._route(request)
        except FrappeRefusal as refusal:
            return self._error(refusal)

    def _authorise(self, request: Request) -> None:
        """Distinguish guest (no header), wrong key and right key, as Frappe does."""
        words = request.headers.get("Authorization", "").split(" ")
        if len(words) != 2 or not words[1]:
            if request.path != "/api/method/ping":
                raise FrappeRefusal(403, "PermissionError", "Guest")
            return
        scheme, token = words[0].lower(), words[1]
        if scheme == "basic":
            try:
                token = base64.b64decode(token, validate=True).decode()
            except ValueError as error:
                message = "broken Basic header"
                raise FrappeRefusal(
                    400, "InvalidAuthorizationToken", message
                ) from error
        elif scheme != "token":
            raise FrappeRefusal(401, "AuthenticationError", "")
        if token != f"{self.api_key}:{self.api_secret}":
            raise FrappeRefusal(401, "AuthenticationError", "")

    def _route(self, request: Request) -> Response:
        path = unquote(request.path)
        if path == "/api/method/ping":
            return _json({"message": "pong"})
        if path == "/api/method/frappe.auth.get_logged_user":
            return _json({"message": self.site.user})
        method = path.removeprefix("/api/method/")
        if method in self.site.methods and request.method == "POST":
            return _json({"message": self.site.methods[method](_fields(request))})
        if path.startswith("/api/method/"):
            raise FrappeRefusal(417, "ValidationError", "Failed to get method")
        found = re.fullmatch(r"/api/resource/([^/]+)(?:/(.+))?", path)
        if not found:
            return _page(404, "Not Found")
        if found[1] not in self.site.tables:
            if request.method == "GET":
                raise FrappeRefusal(404, "DoesNotExistError", "")
            raise FrappeRefusal(500, "ImportError", f"No module for {found[1]}")
        return self._resource(request, found[1], found[2])

    def _resource(self, request: Request, doctype: str, name: str | None) -> Response:
        if request.method == "GET":
            self.site.may_read(doctype)
        if name is None and request.method == "POST":
            return _json({"data": _shown(self.site.insert(doctype, _fields(request)))})
        if name is None and request.method == "GET":
            return _json({"data": self._list(request, doctype)})
        if name is not None and request.method == "GET":
            return _json({"data": _shown(self.site.find(doctype, name))})
        if name is not None and request.method == "DELETE":
            self.site.delete(doctype, name)
            return _json({"data": "ok"}, 202)
        return _page(405, "Method Not Allowed")

    def _list(self, request: Request, doctype: str) -> list[Json]:
        filters = _parameter(request, "filters", [])
        fields = _parameter(request, "fields", ["name"])
        order_by = request.args.get("order_by")
        rows = self.site.list_documents(doctype, filters, order_by)
        start = int(request.args.get("limit_start", 0))
        length = int(request.args.get("limit_page_length", _DEFAULT_PAGE_LENGTH))
        rows = rows[start : start + length] if length else rows[start:]
        if fields in (["*"], "*"):
            return [_shown(row) for row in rows]
        return [{field: row.get(field) for field in fields} for row in rows]

    def _error(
        self, refusal: FrappeRefusal, headers: dict[str, str] | None = None
    ) -> Response:
        """Return an error in the format of Frappe's API v1."""
        body: Json = {"exc_type": refusal.exc_type}
        message = {"message": refusal.message, "title": "Message", "indicator": "red"}
        if refusal.message:
            body["_server_messages"] = json.dumps([json.dumps(message)])
        if self.tracebacks and refusal.status != 404:
            path = f"frappe.exceptions.{refusal.exc_type}"
            body["exception"] = f"{path}: {refusal.message}"
            body["exc"] = json.dumps([f"Traceback: {path}"])
        return _json(body, refusal.status, headers)


def _json(
    body: Json, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    # Real answers set cookies; a client that keeps them stops using its token.
    more = {"Set-Cookie": "sid=Guest; Path=/; HttpOnly", **(headers or {})}
    return Response(json.dumps(body), status, more, content_type="application/json")


def _page(status: int, title: str) -> Response:
    return Response(_PAGE.format(title=title), status, content_type="text/html")


def _drip(seconds: float) -> Iterator[bytes]:
    ends = time.monotonic() + (seconds or _HANG_S)
    yield b'{"data": ['
    while time.monotonic() < ends:
        yield b" "
        time.sleep(0.05)
    yield b"]}"


def _fields(request: Request) -> Json:
    raw = request.form.get("data") or request.get_data(as_text=True)
    try:
        fields = json.loads(raw)
    except ValueError as error:
        raise FrappeRefusal(500, "JSONDecodeError", "Expecting value") from error
    if isinstance(fields, list):
        raise FrappeRefusal(500, "TypeError", "not an object")
    if not isinstance(fields, dict):
        raise FrappeRefusal(417, "ValidationError", "not an object")
    return fields


def _parameter(request: Request, name: str, default: Any) -> Any:
    raw = request.args.get(name)
    if raw is None:
        return default
    try:
        return json.loads(raw)
    except ValueError as error:
        raise FrappeRefusal(500, "JSONDecodeError", "Expecting value") from error


def _shown(row: Json) -> Json:
    """Return a document as Frappe does: without null fields."""
    return {k: v for k, v in row.items() if v is not None and not k.startswith("_")}
