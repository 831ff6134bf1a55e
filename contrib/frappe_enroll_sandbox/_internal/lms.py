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

from .faults import HANG_S, Fault, FaultPlan, FaultyServer
from .lms_doctypes import Json, shown
from .lms_lists import cut
from .lms_methods import PING, WHOAMI, call, parse
from .lms_model import LMSSite
from .refusals import FrappeRefusal, forbidden
from .server import DropConnection


#: A page as Werkzeug, to which Frappe leaves these, writes it.
_PAGE = "<!doctype html>\n<html lang=en>\n<title>{title}</title>\n<h1>{title}</h1>\n"
_DEFAULT_PAGE_LENGTH = 20
_KINDS = (
    *("html", "page", "error", "foreign", "redirect", "hang", "latency", "drip"),
    *("reset", "throttled", "empty", "error_body", "commit_then_timeout"),
    *("commit_then_500", "commit_later"),
)


class LMSSandbox(FaultyServer):
    """
    A simulated Frappe LMS site for the real ``frappe-client`` package.

    A context manager. Faults: ``html`` (Frappe's own page, with `status`), ``page`` (a
    proxy's), ``error`` (JSON, with `status` and header ``exc_type``), ``foreign`` (a
    gateway's JSON), ``redirect``, ``hang``, ``latency``, ``drip``, ``reset``,
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
            self.drop(fault)
        if fault is not None and fault.kind == "commit_then_500":
            return _page(500, "Internal Server Error")
        return response

    def _commit_later(self, request: Request, fault: Fault) -> Response:
        """Hang without an answer, but still write `seconds` later."""
        # Read the request's body before the connection is closed.
        request.get_data()
        self.faults.hang(fault.seconds)
        self._serve(request)
        raise DropConnection

    def _fail(self, fault: Fault) -> Response:
        if fault.kind in {"hang", "reset"}:
            self.drop(fault)
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
        return _planned(fault)

    def _serve(self, request: Request) -> Response:
        if self.host and request.host.partition(":")[0] != self.host:
            return _page(404, f"{request.host} does not exist")
        try:
            fields = _fields(request, newer=self.site.is_newer)
            if request.method == "HEAD":
                raise forbidden()
            guest = self._is_guest(request)
            return self._route(request, fields, guest=guest)
        except FrappeRefusal as refusal:
            if request.headers.get("Accept", "").startswith("text"):
                return _page(refusal.status, refusal.exc_type)
            return self._error(refusal)

    def _is_guest(self, request: Request) -> bool:
        """Distinguish guest (no header), wrong key and right key, as Frappe does."""
        words = request.headers.get("Authorization", "").split(" ")
        if len(words) != 2 or not words[1]:
            return True
        scheme, token = words[0].lower(), words[1]
        if scheme == "basic":
            token = _of_basic(token)
        elif scheme != "token":
            raise FrappeRefusal(401, "AuthenticationError", "")
        disabled = self.site.is_newer and not self.site.user_enabled
        if disabled or token != f"{self.api_key}:{self.api_secret}":
            raise FrappeRefusal(401, "AuthenticationError", "")
        return False

    def _route(self, request: Request, fields: Json, *, guest: bool) -> Response:
        path = unquote(request.path).replace("/api/v1/", "/api/", 1).rstrip("/")
        method = path.removeprefix("/api/method/")
        if path.startswith("/api/method/"):
            if method == PING:
                return _json({"message": "pong"})
            blocked = method == WHOAMI and self._blocks()
            if guest or blocked:
                raise forbidden()
            told = {**request.args.to_dict(), **fields}
            return _json(call(self.site, method, told))
        found = re.fullmatch(r"/api/resource/([^/]+)(?:/(.+))?", path)
        if not found:
            raise FrappeRefusal(404, "DoesNotExistError", "")
        doctype, name = found[1], found[2]
        if name is None and request.method not in {"GET", "POST", "OPTIONS"}:
            return _page(405, "Method Not Allowed")
        if guest or self._blocks():
            raise forbidden(told=name is None and guest)
        if doctype not in self.site.tables:
            raise self._unknown(request.method, doctype)
        return self._resource(request, doctype, name, fields)

    def _blocks(self) -> bool:
        system = "System Manager" in self.site.role.split(" + ")
        return self.site.blocks_endpoints and not system

    def _unknown(self, method: str, doctype: str) -> FrappeRefusal:
        if method != "GET":
            return FrappeRefusal(500, "ImportError", "")
        if self.site.is_newer:
            return forbidden()
        return FrappeRefusal(404, "DoesNotExistError", f"DocType {doctype} not found")

    def _resource(
        self, request: Request, doctype: str, name: str | None, fields: Json
    ) -> Response:
        site, method = self.site, request.method
        if method == "OPTIONS":
            return Response("", 200)
        if name is None and method == "POST":
            return _json({"data": shown(doctype, site.insert(doctype, fields))})
        if name is None:
            return _json({"data": self._list(request, doctype)})
        if method == "GET":
            return _json({"data": shown(doctype, site.read(doctype, name))})
        if method == "PUT":
            return _json({"data": shown(doctype, site.update(doctype, name, fields))})
        if method == "DELETE":
            site.delete(doctype, name)
            return _json({"data": "ok"}, 202)
        return _page(405, "Method Not Allowed")

    def _list(self, request: Request, doctype: str) -> list[Json]:
        filters = _parameter(request, "filters", [])
        fields = _parameter(request, "fields", ["name"])
        order_by, parent = request.args.get("order_by"), request.args.get("parent")
        rows = self.site.list_documents(doctype, filters, order_by, parent)
        start = int(request.args.get("limit_start", 0))
        told = request.args.get("limit_page_length", request.args.get("limit"))
        length = _DEFAULT_PAGE_LENGTH if told is None else int(told)
        rows = rows[start : start + length] if length else rows[start:]
        return cut(doctype, rows, fields)

    def _error(
        self, refusal: FrappeRefusal, headers: dict[str, str] | None = None
    ) -> Response:
        """Return an error in the format of Frappe's API v1."""
        body: Json = {"exc_type": refusal.exc_type}
        message = {"message": refusal.message, "title": "Message", "indicator": "red"}
        if refusal.message:
            body["_server_messages"] = json.dumps([json.dumps(message)])
        if refusal.told:
            body["_error_message"] = refusal.told
        if self.tracebacks and refusal.status != 404:
            path = f"frappe.exceptions.{refusal.exc_type}"
            body["exception"] = f"{path}: {refusal.message}"
            body["exc"] = json.dumps([f"Traceback: {path}"])
            if refusal.of_lms:
                body["_exc_source"] = "lms (app)"
        return _json(body, refusal.status, headers)


def _json(
    body: Json, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    # Real answers set cookies; a client that keeps them stops using its token.
    more = {"Set-Cookie": "sid=Guest; Path=/; HttpOnly", **(headers or {})}
    return Response(json.dumps(body), status, more, content_type="application/json")


def _page(status: int, title: str) -> Response:
    return Response(
        _PAGE.format(title=f"{status} {title}"), status, content_type="text/html"
    )


def _planned(fault: Fault) -> Response:
    """Return a proxy's or gateway's answer in place of the LMS's, or a bare page."""
    if fault.kind == "foreign":
        return _json({"message": "no route"}, fault.status)
    if fault.kind == "page":
        page = "<html><head><title>A planned fault</title></head></html>"
        return Response(page, fault.status, content_type="text/html")
    return _page(fault.status, "A planned fault")


def _drip(seconds: float) -> Iterator[bytes]:
    ends = time.monotonic() + (seconds or HANG_S)
    yield b'{"data": ['
    while time.monotonic() < ends:
        yield b" "
        time.sleep(0.05)
    yield b"]}"


def _of_basic(token: str) -> str:
    """Decode a Basic header; Frappe refuses broken base64 in two ways."""
    try:
        return base64.b64decode(token, validate=True).decode()
    except ValueError as error:
        if token.isalnum():
            message = "broken Basic header"
            raise FrappeRefusal(400, "InvalidAuthorizationToken", message) from error
        raise FrappeRefusal(401, "AuthenticationError", "") from error


def _fields(request: Request, *, newer: bool) -> Json:
    """Return the fields of a request's body, in any of Frappe's three formats."""
    if request.method not in {"POST", "PUT"}:
        return {}
    form = request.form.to_dict()
    raw = form.get("data") or ("" if form else request.get_data())
    if form and not raw:
        return form
    try:
        text = raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError as error:
        raise FrappeRefusal(500, "AttributeError", "") from error
    return _object(text, newer=newer) if text else {}


def _object(text: str, *, newer: bool) -> Json:
    try:
        fields = json.loads(text)
    except ValueError as error:
        if newer:
            raise FrappeRefusal(417, "DataError", "Invalid request body") from error
        raise FrappeRefusal(500, "JSONDecodeError", "") from error
    if isinstance(fields, list):
        raise FrappeRefusal(500, "TypeError", "")
    if not isinstance(fields, dict):
        raise FrappeRefusal(417, "ValidationError", "Invalid request body")
    return fields


def _parameter(request: Request, name: str, default: Any) -> Any:
    raw = request.args.get(name)
    return default if raw is None else parse(raw)
