# SPDX-License-Identifier: MIT
"""Errors as problem+json (RFC 9457) with a stable `code` and `retryable`."""

from __future__ import annotations

import json
import logging
import math

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import EnrollError, ValidationError


logger = logging.getLogger(__name__)
_SERVER_ERROR = 500


def of_error(error: EnrollError) -> Response:
    """Answer one of our errors with its public message only."""
    status = error.http_status
    if status >= _SERVER_ERROR:
        logger.error(
            "request failed", extra={"error_code": error.code, "cause": str(error)}
        )
    body = {
        "type": f"urn:frappe-enroll:{error.code}",
        "title": error.public_message,
        "status": status,
        "code": error.code,
        "retryable": error.retryable,
    }
    if status < _SERVER_ERROR and error.field is not None:
        body["field"] = error.field
    if isinstance(error, ValidationError) and status < _SERVER_ERROR:
        body["errors"] = getattr(error, "errors", None) or [_where(error)]
    response = _problem(body, status)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if status == 401:  # noqa: PLR2004  RFC 9110 requires the scheme
        response.headers["WWW-Authenticate"] = 'Bearer realm="frappe-enroll"'
    return response


def _where(error: ValidationError) -> dict[str, str]:
    """Return the field and message of an error that the SDK itself raised."""
    words = str(error).removeprefix(f"{error.field}: ")
    return {"path": f"/{error.field or ''}".rstrip("/"), "problem": words}


def of_http(error: HTTPException) -> Response:
    """Answer Werkzeug's own errors (404, 405, 413, …)."""
    status = error.code or _SERVER_ERROR
    code = (error.name or "error").lower().replace(" ", "_")
    body = {
        "type": f"urn:frappe-enroll:{code}",
        "title": error.name,
        "status": status,
        "code": code,
        "retryable": False,
    }
    response = _problem(body, status)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def of_unknown(error: Exception) -> Response:
    """Answer an unexpected error: its details go to the log only."""
    logger.error("request failed unexpectedly", exc_info=error)
    body = {
        "type": "urn:frappe-enroll:internal",
        "title": "An unexpected error occurred. Try again later.",
        "status": _SERVER_ERROR,
        "code": "internal",
        "retryable": True,
    }
    return _problem(body, _SERVER_ERROR)


def _problem(body: dict[str, object], status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/problem+json")
