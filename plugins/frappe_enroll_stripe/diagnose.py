# SPDX-License-Identifier: MIT
"""How a Stripe account is set up for us: endpoint, events, versions, clock, mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from frappe_enroll_sdk.checks import Check
from frappe_enroll_sdk.errors import BackendGoneError, BackendRefusedError

from .failures import a_call
from .records import NEEDED_EVENTS


if TYPE_CHECKING:
    import stripe

_PATH = "/webhooks/stripe"
_MOST_SKEW_S = 60
_NO_SESSION = "cs_test_frappe_enroll_check"


def diagnose(
    client: stripe.StripeClient,
    *,
    livemode: bool,
    api_version: str,
    now: datetime,
    public_url: str,
    timeout_s: float,
) -> Iterator[Check]:
    """Yield the findings; a restricted key may not read the endpoints."""
    yield from _rights(client, timeout_s)
    try:
        with a_call(timeout_s):
            found = client.v1.webhook_endpoints.list({"limit": 100})
    except BackendRefusedError:
        yield Check(
            name="stripe endpoint",
            state="unknown",
            cause="the key may not read webhook endpoints",
            mend="compare the endpoint's events with the README by hand",
        )
        return
    yield _clock(found, now)
    host = urlsplit(public_url).hostname
    ours = [
        one
        for one in found.data
        if urlsplit(one.url).path.endswith(_PATH)
        and (host is None or urlsplit(one.url).hostname == host)
    ]
    if not ours:
        near = host in {None, "localhost", "127.0.0.1", "::1"}
        yield Check(
            name="stripe endpoint",
            # On loopback, Stripe reaches us through `stripe listen`, which needs no
            # endpoint.
            state="unknown" if near else "missing",
            cause=f"no endpoint of this mode ends in {_PATH}"
            + (f" at {host}" if host else ""),
            mend="add one in Stripe's dashboard; see the README for its events",
        )
    for endpoint in ours:
        yield from _endpoint(endpoint, livemode=livemode, api_version=api_version)


def _rights(client: stripe.StripeClient, timeout_s: float) -> Iterator[Check]:
    """Check each permission that a flow needs: reads of one row, and one probe."""
    v1 = client.v1
    # This session does not exist: a key that may write gets "not found".
    tries: dict[str, Callable[[], object]] = {
        "Checkout Sessions: Write": lambda: v1.checkout.sessions.expire(_NO_SESSION),
        "Payment Intents: Read": lambda: v1.payment_intents.list({"limit": 1}),
        "Charges and Refunds: Read": lambda: (
            v1.refunds.list({"limit": 1}),
            v1.charges.list({"limit": 1}),
        ),
        "Disputes: Read": lambda: v1.disputes.list({"limit": 1}),
        "Events: Read": lambda: v1.events.list({"limit": 1}),
    }
    for right, attempt in tries.items():
        name = f"stripe right: {right}"
        try:
            with a_call(timeout_s):
                attempt()
        except BackendGoneError:
            yield Check(name=name)
        except BackendRefusedError:
            yield Check(
                name=name,
                state="forbidden",
                cause="the key lacks this permission: whatever needs it will fail",
                mend="give it to the restricted key (Stripe's dashboard, API keys)",
            )
        else:
            yield Check(name=name)


def _clock(found: stripe.ListObject[stripe.WebhookEndpoint], now: datetime) -> Check:
    answer = found.last_response
    told = answer.headers.get("Date") if answer is not None else None
    if told is None:
        return Check(name="clock", state="unknown", cause="Stripe's answer has no date")
    skew_s = abs((now - parsedate_to_datetime(told)).total_seconds())
    if skew_s <= _MOST_SKEW_S:
        return Check(name="clock")
    return Check(
        name="clock",
        state="skewed",
        cause=f"{skew_s:.0f} s away from Stripe's: from 300 s, webhooks are refused",
        mend="run NTP on the database's host, whose clock the SDK uses",
    )


def _endpoint(
    endpoint: stripe.WebhookEndpoint, *, livemode: bool, api_version: str
) -> Iterator[Check]:
    events = set(endpoint.enabled_events)
    lacking = set() if "*" in events else NEEDED_EVENTS - events
    if endpoint.status != "enabled":
        yield Check(
            name="stripe endpoint",
            state="disabled",
            cause=f"{endpoint.url} is {endpoint.status}",
            mend="enable it in Stripe's dashboard, then `frappe-enroll events pull`",
        )
    elif lacking:
        yield Check(
            name="stripe endpoint",
            state="events_missing",
            cause=f"not subscribed to: {', '.join(sorted(lacking))}",
            mend="add these events to the endpoint, then `frappe-enroll events pull`",
        )
    else:
        yield Check(name="stripe endpoint")
    told = endpoint.api_version
    if told not in (None, api_version):
        yield Check(
            name="stripe version",
            state="differs",
            cause=f"events come in {told}, read as {api_version}",
            mend=f"recreate the endpoint with API version {api_version}",
        )
    else:
        yield Check(name="stripe version")
    if endpoint.livemode is not livemode:
        yield Check(
            name="stripe mode",
            state="mode_mismatch",
            cause="the endpoint's mode (test or live) is not the key's",
            mend="configure a key and a signing secret of the same mode",
        )
