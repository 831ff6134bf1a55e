# SPDX-License-Identifier: MIT
"""Examine a deployment: what is wrong, why, and what mends it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING

from .. import urls, wall
from ..checks import Check, Diagnosable
from ..connections import opener
from ..deadline import within
from ..errors import BackendRefusedError, ConfigurationError, EnrollError
from ..models import Status, Trail
from ..stores.bounds import is_ahead
from .coupons.pricing import flaw_of
from .lms.key_check import check_key


if TYPE_CHECKING:
    from collections.abc import Callable

    from ..interfaces import LMS, PaymentGateway, Storage
    from ..models import Course
    from .context import Backends, Context
    from .operators.admin import Admin
    from .operators.enrollments import Enrollments

_MENDS = {
    "storage": "is the database reachable? `frappe-enroll setup` makes its tables",
    "payments": "STRIPE_SECRET_KEY and STRIPE_API_BASE; is Stripe reachable?",
    "lms": "FRAPPE_LMS_URL (and FRAPPE_LMS_SITE), FRAPPE_LMS_API_KEY and "
    "FRAPPE_LMS_API_SECRET, by what the cause says",
}
_TIMEOUT_S = 10.0
_MAX_READ = 65_536
_MAX_WAITING = 50
_A_PAGE, _MAX_COURSES = 100, 5000


class Doctor:
    """Examines one deployment. Thread-safe."""

    def __init__(
        self,
        context: Context,
        backends: Backends,
        admin: Admin,
        enrollments: Enrollments,
    ) -> None:
        self._context, self._backends = context, backends
        self._admin, self._enrollments = admin, enrollments

    def ping(self, *only: str, timeout_s: float = 30.0) -> dict[str, str]:
        """See `EnrollSDK.ping`."""
        health = {}
        pings: dict[str, Callable[[], None]] = {
            "storage": self._backends.storage.ping,
            "payments": self._backends.payments.ping,
            "lms": self._backends.lms.ping,
        }
        for name in only or pings:
            try:
                with within(timeout_s):
                    wall.contained(name, pings[name])
                health[name] = "ok"
            except Exception as error:  # noqa: BLE001  report health, don't raise
                health[name] = str(getattr(error, "code", type(error).__name__))
        return health

    def check_lms(self) -> str:
        """See `EnrollSDK.check_lms`."""
        try:
            check_key(self._context)
        except EnrollError as error:
            return error.code
        return "ok"

    def examine(self, url: str | None = None) -> tuple[Check, ...]:
        """See `EnrollSDK.examine`."""
        return tuple(self._checks(url))

    def _checks(self, url: str | None) -> Iterator[Check]:
        yield from self._check_backends()
        yield from self._plugins()
        yield self._limits()
        if url is not None:
            yield from _front(url)
            yield _door(url, f"webhooks/{self._context.settings.payments}", {400})
            yield _door(url, "cron/run", {401})

    def _check_backends(self) -> Iterator[Check]:
        states, backends = self.ping(), self._backends
        for name, state in states.items():
            bad = state != "ok"
            yield Check(
                name=name,
                state=state,
                cause=_cause_of(getattr(backends, name)) if bad else "",
                mend=_MENDS.get(name, "") if bad else "",
            )
        if states.get("lms") == "ok":
            key = self._lms_key()
            yield key
            if not key.is_bad:
                yield from self._prices()
        if states.get("lms") in {"ok", BackendRefusedError.code}:
            yield from self._diagnosis(backends.lms, "lms")
        if states.get("storage") == "ok":
            yield self._schema()
            yield self._workers()
            yield from self._losses()
            yield from self._modes()
            yield from self._gone()
        if states.get("payments") == "ok":
            yield self._secrets()
            yield from self._diagnosis(backends.payments, "payments")

    def _lms_key(self) -> Check:
        state = self.check_lms()
        if state == "ok":
            return Check(name="lms key")
        return Check(
            name="lms key",
            state=state,
            cause="the key does not see what it inserts, or may not insert",
            mend="give the key's user the role Moderator in Frappe",
        )

    def _prices(self) -> Iterator[Check]:
        """Check that the provider accepts each price, before a learner finds out."""
        found, looked, cursor, trail = list[Check](), 0, None, Trail()
        while looked < _MAX_COURSES:
            page = self._backends.lms.list_courses(limit=_A_PAGE, cursor=cursor)
            looked += len(page.items)
            found += [_unreadable(text) for text in page.unreadable]
            for listed in page.items:
                course = self._context.plugins.get_course(listed.id) or listed
                found += self._price(course)
            cursor = trail.follow(page.next_cursor)
            if cursor is None:
                break
        yield from found or [Check(name="prices")]

    def _price(self, course: Course) -> list[Check]:
        minimum = self._backends.payments.traits.minimum_charge
        flaw = course.flaw or (flaw_of(course.price, minimum) if course.price else "")
        if not flaw:
            return []
        check = Check(
            name=f"price of {course.id}",
            state="not_chargeable",
            cause=flaw,
            mend="set a price and a currency that the payment provider accepts",
        )
        return [check]

    def _schema(self) -> Check:
        try:
            drift = self._backends.storage.list_drift()
        except EnrollError as error:
            return Check(
                name="schema",
                state=error.code,
                cause=str(error),
                mend="run `frappe-enroll setup`, or fix what the cause says",
            )
        if not drift:
            return Check(name="schema")
        return Check(
            name="schema",
            state="drift",
            cause="; ".join(drift),
            mend="run `frappe-enroll setup`",
        )

    def _workers(self) -> Check:
        stats, mend = (
            self._admin.stats(),
            "start `frappe-enroll worker`, or call /cron/run",
        )
        if stats.absent_s is not None:
            return Check(
                name="workers",
                state="absent",
                cause=f"work is due, and no worker was seen for {stats.absent_s:.0f} s",
                mend=mend,
            )
        lately = stats.at - timedelta(seconds=self._context.settings.workers_absent_s)
        seen = [s.seen_at for s in stats.workers if not is_ahead(s.seen_at, stats.at)]
        if any(seen_at > lately for seen_at in seen):
            return Check(name="workers")
        return Check(
            name="workers",
            state="unknown",
            cause="nothing is due, and no worker or cron pass was seen lately",
            mend=mend,
        )

    def _modes(self) -> Iterator[Check]:
        """Check for events of the other mode: the key or the endpoint is wrong."""
        waiting = self._admin.quarantine(limit=_MAX_WAITING).items
        if any(item.reason == "mode_mismatch" for item in waiting):
            mode = "live" if self._backends.payments.livemode else "test"
            yield Check(
                name="payments mode",
                state="mode_mismatch",
                cause=f"the key is of {mode} mode, payments of the other one came in",
                mend="set key and signing secret of one mode; see "
                "`frappe-enroll quarantine`",
            )

    def _gone(self) -> Iterator[Check]:
        """Check whether the key's account differs from that of the pending attempts."""
        waiting = self._enrollments.list(
            status=Status.AWAITING_PAYMENT, limit=_MAX_WAITING
        ).items
        gone = sum(row.gone_at is not None for row in waiting)
        if gone:
            yield Check(
                name="payments sessions",
                state="session_gone",
                cause=f"the provider does not know the sessions of {gone} enrollments",
                mend="STRIPE_SECRET_KEY: is it of another account or mode? Put the old "
                "one back, or let them end (`frappe-enroll enrollments revoke` ends "
                "one now)",
            )

    def _secrets(self) -> Check:
        named = (
            self._context.settings.payments != "stripe"
            or self._context.settings.stripe_webhook_secret
        )
        if named:
            return Check(name="webhook secret")
        return Check(
            name="webhook secret",
            state="missing",
            cause="no webhook can be verified",
            mend="STRIPE_WEBHOOK_SECRET: the endpoint's whsec_… (Stripe's dashboard)",
        )

    def _diagnosis(self, backend: object, name: str) -> Iterator[Check]:
        if not isinstance(backend, Diagnosable):
            return
        try:
            yield from backend.diagnose(
                now=self._context.now(), public_url=self._context.settings.public_url
            )
        except EnrollError as error:
            yield Check(
                name=f"{name} setup",
                state=error.code,
                cause=str(error),
                mend=_MENDS[name],
            )

    def _losses(self) -> Iterator[Check]:
        """Check for calls that observers have lost, here and in the workers seen."""
        for name, count in self._admin.stats().lost.items():
            yield Check(
                name=f"plugin {name}",
                state="loses",
                cause=f"{count} calls of its observers failed: none is made again",
                mend="the log has the tracebacks; what must happen is a job",
            )

    def _plugins(self) -> Iterator[Check]:
        for name in self._context.plugins.missing_required:
            yield Check(
                name=f"plugin {name}",
                state="missing",
                cause="FRAPPE_ENROLL_PLUGINS names it; it is absent or broken",
                mend="install it, or take it out of the list",
            )
        for info in self._context.plugins.infos:
            if info.error and info.name not in self._context.plugins.missing_required:
                yield Check(
                    name=f"plugin {info.name}",
                    state=info.status,
                    cause=info.error,
                    mend="upgrade or remove it, or FRAPPE_ENROLL_DISABLE_PLUGINS",
                )

    def _limits(self) -> Check:
        if (
            "off" in self._context.settings.rate_limits
            or self._context.settings.limits_uri
        ):
            return Check(name="rate limits")
        return Check(
            name="rate limits",
            state="note",
            cause="counted in each process: with N processes N times as much passes",
            mend="FRAPPE_ENROLL_RATE_LIMIT_STORAGE, where more than one process serves",
        )


def _cause_of(backend: Storage | PaymentGateway | LMS) -> str:
    """Return a backend's own explanation, such as a redirect's target."""
    try:
        with within(_TIMEOUT_S):
            wall.contained("a backend's ping", backend.ping)
    except EnrollError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  its text may contain anything
        return f"its ping fails: {type(error).__name__}"
    return "its ping failed, and works again"


def _unreadable(text: str) -> Check:
    return Check(name="courses", state="unreadable", cause=text, mend="look in the LMS")


def _front(url: str) -> Iterator[Check]:
    """Check whether the proxy in front is configured."""
    answer = _knock(f"{_base(url)}/readyz")
    if isinstance(answer, Check):
        return  # the doors tell
    _, _, body = answer
    try:
        checks = json.loads(body)["checks"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    if isinstance(checks, dict) and checks.get("proxy") == "untrusted":
        yield Check(
            name="url proxy",
            state="untrusted",
            cause="X-Forwarded-* or Forwarded comes in from a peer that is not named: "
            "all clients behind it share one limit",
            mend="name it in FRAPPE_ENROLL_TRUSTED_PROXIES",
        )
    else:
        yield Check(name="url proxy")


def _base(url: str) -> str:
    try:
        return urls.base(url).rstrip("/")
    except ValueError as error:
        raise ConfigurationError(f"--url: {error}") from error


def _knock(
    where: str, name: str = "", body: bytes | None = None
) -> tuple[int, str, bytes] | Check:
    """Return an answer's status, content type and body, or why there is none."""
    request = urllib.request.Request(where, body)  # noqa: S310  checked by `_base`
    request.add_header("Content-Type", "application/json")
    try:
        with within(_TIMEOUT_S):
            return _answer_to(request)
    except (OSError, HTTPException) as error:
        return Check(
            name=name, state="unreachable", cause=str(error), mend="DNS, port, firewall"
        )


def _answer_to(request: urllib.request.Request) -> tuple[int, str, bytes]:
    # A redirect comes from something else: report it, don't follow it.
    try:
        answer = opener().open(request)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        kind = answer.headers.get_content_type()
        return int(answer.status), kind, answer.read(_MAX_READ)


def _door(url: str, path: str, wanted: set[int]) -> Check:
    """Call a route without a signature or secret: only our own refusal is right."""
    name = f"url /{path}"
    answer = _knock(f"{_base(url)}/{path}", name, b"{}")
    if isinstance(answer, Check):
        return answer
    status, kind, _ = answer
    if status in wanted and kind == "application/problem+json":
        return Check(name=name)
    if status in {302, 303, 307, 308, 301, 403, 404, 405}:
        cause = f"{status}: something stands in front of it, or it is mounted elsewhere"
        mend = "let this path through without sign-in, CSRF check or redirect"
    else:
        cause = f"{status} {kind} instead of our own refusal"
        mend = "is this the URL of the mount?"
    return Check(name=name, state=f"http_{status}", cause=cause, mend=mend)
