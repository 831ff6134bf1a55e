# SPDX-License-Identifier: MIT
"""Templates to answers: all text is escaped, and no inline script or style may run."""

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

#: Rows of a page's list.
LIMIT = 50
#: What a path may hold as it is (RFC 3986, 3.3).
_PLAIN = "/:@!$&'()*+,;="
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: What a page says after an order, by a word in its address: never a text of others.
DONE = {
    "revoke": "The right to the course was taken away.",
    "reinstate": "The right to the course was given back.",
    "accept": "The payment was accepted; the learner is being enrolled.",
    "dismiss": "The payment was dismissed.",
    "retry": "The job is due now.",
    "bury": "The job was ended.",
    "requeue": "The dead jobs are due again.",
    "replay": "The event was given its effect again.",
    "disable": "The coupon was disabled.",
    "approve": "The grant was approved: its coupon is there.",
    "reject": "The grant was rejected.",
    "register": "The affiliate is registered.",
    "suspend": "The affiliate earns nothing any more.",
    "resume": "The affiliate earns again.",
    "pay_out": "The payout was written.",
    "probe": "The backend was asked.",
}


class Asked(dict[str, Any]):
    """What was asked for: whatever was not is empty."""

    def __missing__(self, _: str) -> str:
        return ""


@cache
def environment() -> Environment:
    """Return the templates' environment."""
    found = Environment(
        loader=PackageLoader("frappe_enroll_wsgi.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"when": when, "age": age, "words": words, "pretty": pretty}
    return found


def asked_of(call: Call) -> dict[str, Any]:
    """Return what a list is asked for: all of the query but what was just done."""
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
    """Return the page of a list: what `find` finds, under the name `items`."""
    query = asked_of(call)
    found = seen(call, find(**query, limit=LIMIT))
    listed: dict[str, Any] = {
        items: found.items,
        "more": found.next_cursor,
        "asked": Asked(query),
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
    Return the address of a page of ours, under the mount.

    A part of the path may be a name that a plugin chose: what has a meaning in a URL
    has none there.
    """
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    tail = f"?{urlencode(asked)}" if asked else ""
    return f"{call.mount}/admin{quote(path, safe=_PLAIN)}{tail}"


def go(call: Call, path: str, **query: Any) -> Response:
    """Send the browser on after an order, so that a reload repeats nothing."""
    return redirect(url(call, path, **query), 303)


def when(moment: datetime | None) -> Markup | str:
    """Return a moment for people, and for the script that shows it in local time."""
    if moment is None:
        return "–"
    at = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M:%S")
    )


def age(seconds: float | None) -> str:
    """Return a span in its largest unit."""
    if seconds is None:
        return "–"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{max(seconds, 0):.0f} s"


def words(text: Any) -> str:
    """Return a stable word as people write it."""
    return str(text).replace("_", " ")


def pretty(value: Any) -> str:
    """Return JSON to read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
