# SPDX-License-Identifier: MIT
"""Error pages: unknown visitors get the sign-in page, operators the cause."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import EnrollError

from ..errors import UnauthorizedError
from .render import go, page


if TYPE_CHECKING:
    from ..routing import Call

logger = logging.getLogger(__name__)
_SERVER_ERROR = 500


def guarded(call: Call, run: Callable[[Call], Response]) -> Response:
    """Handle a call of the dashboard; answer our errors with pages."""
    try:
        return run(call)
    except UnauthorizedError:
        if call.route.name == "dashboard_sign_in":
            return _sign_in_page(call)
        return go(call, "/sign-in")
    except EnrollError as error:
        if error.http_status >= _SERVER_ERROR:
            logger.error(  # noqa: TRY400  the cause is in the fields, as for the API
                "request failed", extra={"error_code": error.code, "cause": str(error)}
            )
        return _problem_page(call, error)


def _sign_in_page(call: Call) -> Response:
    known = bool(call.sdk.settings.secret_key)
    return page(
        call,
        "sign_in.html",
        title="Sign in",
        status=401,
        problem="This token is unknown. Check it, or ask for a new one."
        if known
        else "",
        can_sign_in=known,
    )


def _problem_page(call: Call, error: EnrollError) -> Response:
    response = page(
        call,
        "problem.html",
        title=error.public_message.rstrip("."),
        status=error.http_status,
        error=error,
        detail=str(error) if call.who is not None else "",
    )
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(int(error.retry_after_s) + 1)
    return response
