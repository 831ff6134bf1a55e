# SPDX-License-Identifier: MIT
"""Errors as problem+json (RFC 9457), with a stable `code` and `retryable`."""

from __future__ import annotations

import json
import logging
import math

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import EnrollError


logger = logging.getLogger(__name__)


def of_error(error: EnrollError) -> Response:
    """Answer one of our errors; nothing but its public message is told."""
    if error.http_status >= 500:  # noqa: PLR2004
        logger.error(
            "request failed", extra={"error_code": error.code, "cause": str(error)}
        )
    body = {
        "type": f"urn:frappe-enroll:{error.code}",
        "title": error.public_message,
        "status": error.http_status,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.http_status < 500 and error.field is not None:  # noqa: PLR2004
        body["field"] = error.field
    response = _problem(body, error.http_status)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


def of_http(error: HTTPException) -> Response:
    """Answer Werkzeug's own errors (404, 405, 413, …)."""
    status = error.code or 500
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
    """Answer what nobody expected: logged here, never told."""
    logger.error("request failed unexpectedly", exc_info=error)
    body = {
        "type": "urn:frappe-enroll:internal",
        "title": "Something went wrong.",
        "status": 500,
        "code": "internal",
        "retryable": True,
    }
    return _problem(body, 500)


def _problem(body: dict[str, object], status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/problem+json")
