# SPDX-License-Identifier: MIT
"""Made-up requests against the OpenAPI document, all checks, on both mounts."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from support.site import ADMIN, OPERATOR, SECRET, Site
from support.size import FULL, times, with_the_first_python


schemathesis = pytest.importorskip(
    "schemathesis", reason="not beside the oldest versions: it wants a newer rich"
)


def site_of(mount):
    """Return a site with one of everything."""
    site = Site("/enroll", mount=mount, account_check=True, **ADMIN)
    made = site.checkout(coupon_code=site.world.coupon(50, max_redemptions=9)).json
    site.deliver(site.world.pay(made["enrollment_id"]))
    return site


class _Mounted:
    """The application under its prefix, as a server would call it."""

    def __init__(self, site):
        self.site = site

    def __call__(self, environ, start_response):
        if self.site.mount == "wsgi":
            environ = {**environ, "SCRIPT_NAME": "/enroll"}
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/enroll")
        return self.site.app(environ, start_response)


SCHEMAS = {
    mount: schemathesis.openapi.from_wsgi(
        "/enroll/openapi.json", _Mounted(site_of(mount))
    )
    for mount in ("wsgi", "flask")
}
#: The examples that cover each keyword are many: at full size only.
PHASES = [*([Phase.explicit] if FULL else []), Phase.generate]
CONFIG = settings(
    max_examples=times(3, 100),
    deadline=None,
    derandomize=True,
    database=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)


#: Moments that must stand in their order.
MOMENTS = {
    "since": "2025-12-20T00:00:00Z",
    "starts_at": "2025-12-20T00:00:00Z",
    "expires_at": "2027-01-01T00:00:00Z",
}


def headers_of(case):
    """Return the credentials that the operation asks for."""
    path = case.operation.path
    if path.startswith("/cron"):
        return {"Authorization": f"Bearer {SECRET}"}
    if "/admin" in path:
        same = {"Sec-Fetch-Site": "same-origin"}
        return {"Authorization": f"Bearer {OPERATOR}"} | same
    return {}


def made_possible(case):
    """Give what no schema can tell: our cursors, the allowed hosts, a fresh key."""
    body = case.body if isinstance(case.body, dict) else {}
    for place in (case.query or {}, body):
        place.pop("cursor", None)
    for name in ("success_url", "cancel_url"):
        if body.get(name) is not None:
            body[name] = "https://shop.example.com/back"
    if body.get("csv"):
        body["csv"] = f"percent_off\n{body['csv']}"
    # The fake clock's day: what is pulled lies behind it, what lapses ahead.
    for name, moment in MOMENTS.items():
        if name in body:
            body[name] = moment
    if (case.headers or {}).get("Idempotency-Key") is not None:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex


def is_routed(case):
    """Tell whether Flask takes the path to us: one with a line break is the host's."""
    return not any(
        "\n" in str(value) for value in (case.path_parameters or {}).values()
    )


def check(case):
    """Send a made-up request and let every check look at the answer."""
    if case.meta is None or case.meta.generation.mode.is_positive:
        made_possible(case)
    case.call_and_validate(headers=headers_of(case))


@SCHEMAS["wsgi"].parametrize()
@CONFIG
def test_document_holds_for_the_wsgi_mount(case):
    """No answer that the document does not tell of, and never a 5xx."""
    check(case)


@with_the_first_python
@SCHEMAS["flask"].parametrize()
@CONFIG
def test_document_holds_for_the_flask_mount(case):
    """The same through the blueprints."""
    assume(is_routed(case))
    check(case)
