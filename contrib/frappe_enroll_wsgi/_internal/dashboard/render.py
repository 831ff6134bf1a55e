# SPDX-License-Identifier: MIT
"""Render templates: text is escaped, and inline scripts and styles cannot run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from ..codes import seen


if TYPE_CHECKING:
    from collections.abc import Callable

    from frappe_enroll_sdk.models import Page

    from ..routing import Call

#: Rows of one list page.
LIMIT = 50
#: Characters that need no quoting in a path (RFC 3986, 3.3).
_PLAIN = "/:@!$&'()*+,;="
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Messages after an action by the key in the URL: no URL can bring its own text.
DONE = {
    "revoke": "The learner's right to the course was revoked.",
    "reinstate": "The learner's right to the course was restored.",
    "accept": "The payment was accepted; the learner is being enrolled.",
    "dismiss": "The payment was dismissed.",
    "retry": "The job is due now.",
    "bury": "The job was given up.",
    "requeue": "The dead jobs are due again.",
    "replay": "The event was replayed.",
    "disable": "The coupon was disabled.",
    "approve": "The grant was approved and its coupon created.",
    "reject": "The grant was rejected.",
    "register": "The affiliate was registered.",
    "suspend": "The affiliate was suspended and earns nothing from now on.",
    "resume": "The affiliate was resumed and earns again.",
    "pay_out": "The payout was recorded.",
    "probe": "The backend was pinged.",
}


class Filters(dict[str, Any]):
    """The filters of a list; a missing one is empty."""

    def __missing__(self, _: str) -> str:
        return ""


@cache
def environment() -> Environment:
    """Return the template environment."""
    found = Environment(
        loader=PackageLoader("frappe_enroll_wsgi._internal.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"when": when, "age": age, "words": words, "pretty": pretty}
    return found


def filters_of(call: Call) -> dict[str, Any]:
    """Return the filters in the query: all parameters but `done`."""
    return {name: value for name, value in call.query.items() if name != "done"}


def list_page(
    call: Call,
    template: str,
    find: Callable[..., Page[Any]],
    *,
    title: str,
    items: str,
    **values: Any,
) -> Response:
    """Render the rows that `find` returns, named `items` in the template."""
    query = filters_of(call)
    found = seen(call, find(**query, limit=LIMIT))
    listed: dict[str, Any] = {
        items: found.items,
        "more": found.next_cursor,
        "unreadable": found.unreadable,
        "filters": Filters(query),
    }
    return page(call, template, title=title, **listed, **values)


def page(
    call: Call, template: str, *, title: str, status: int = 200, **values: Any
) -> Response:
    """Return a page."""
    text = environment().get_template(template)
    html = text.render(
        title=title,
        base=f"{call.mount}/admin",
        path=call.request.path,
        who=call.who,
        done=DONE.get(call.query.get("done", "")),
        url=lambda path, **query: url(call, path, **query),
        now=call.sdk.clock.now(),
        **values,
    )
    response = Response(html, status, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def url(call: Call, path: str, **query: Any) -> str:
    """
    Return the URL of a dashboard page under the mount.

    The path may contain a name that a plugin chose, so reserved characters are quoted.
    """
    given = {name: value for name, value in query.items() if value not in (None, "")}
    tail = f"?{urlencode(given)}" if given else ""
    return f"{call.mount}/admin{quote(path, safe=_PLAIN)}{tail}"


def go(call: Call, path: str, **query: Any) -> Response:
    """Redirect after an action, so that a reload repeats nothing."""
    return redirect(url(call, path, **query), 303)


def when(moment: datetime | None) -> Markup | str:
    """Format a moment in UTC; the script shows it in local time."""
    if moment is None:
        return "–"
    at = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M:%S")
    )


def age(seconds: float | None) -> str:
    """Format a duration in its largest unit."""
    if seconds is None:
        return "–"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{max(seconds, 0):.0f} s"


def words(text: Any) -> str:
    """Format an identifier as words."""
    return str(text).replace("_", " ")


def pretty(value: Any) -> str:
    """Format a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
