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
from ..errors import ConfigurationError, EnrollError
from ..models import Status
from ..stores.bounds import is_ahead
from .lms.key_check import check_key


if TYPE_CHECKING:
    from collections.abc import Callable

    from .context import Backends, Context
    from .operators.admin import Admin
    from .operators.enrollments import Enrollments

_MENDS = {
    "storage": "is the database reachable? `frappe-enroll setup` makes its tables",
    "payments": "STRIPE_SECRET_KEY and STRIPE_API_BASE; is Stripe reachable?",
    "lms": "FRAPPE_LMS_URL, FRAPPE_LMS_API_KEY and FRAPPE_LMS_API_SECRET",
}
_TIMEOUT_S = 10.0
_MAX_READ = 65_536
_MAX_WAITING = 50


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
            except Exception as error:  # noqa: BLE001  health is asked, not thrown
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
        states = self.ping()
        for name, state in states.items():
            bad = state != "ok"
            cause = self._cause_of_store() if bad and name == "storage" else ""
            yield Check(
                name=name,
                state=state,
                cause=cause or f"its ping fails: {state}" if bad else "",
                mend=_MENDS.get(name, "") if bad else "",
            )
        if states.get("lms") == "ok":
            yield self._lms_key()
        if states.get("storage") == "ok":
            yield self._schema()
            yield self._workers()
            yield from self._losses()
            yield from self._modes()
            yield from self._gone()
        if states.get("payments") == "ok":
            yield self._secrets()
            yield from self._diagnosis()
        yield from self._plugins()
        yield self._limits()
        if url is not None:
            yield from _front(url)
            yield _door(url, f"webhooks/{self._context.settings.payments}", {400})
            yield _door(url, "cron/run", {401})

    def _cause_of_store(self) -> str:
        """Return the store's own words: the file was replaced, the schema is newer."""
        try:
            self._backends.storage.ping()
        except EnrollError as error:
            return str(error)
        return "its ping failed, and works again"

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

    def _schema(self) -> Check:
        try:
            drift = self._backends.storage.list_drift()
        except EnrollError as error:
            return Check(
                name="schema",
                state=error.code,
                cause=str(error),
                mend="run `frappe-enroll setup`, or mend what the cause says",
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
                cause=f"work is due, and nobody was seen for {stats.absent_s:.0f} s",
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
        """Tell of events of the other mode: the key or the endpoint is wrong."""
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
        """Whether the key is another account's than that of the attempts under way."""
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

    def _diagnosis(self) -> Iterator[Check]:
        if not isinstance(self._backends.payments, Diagnosable):
            return
        try:
            yield from self._backends.payments.diagnose(
                now=self._context.now(), public_url=self._context.settings.public_url
            )
        except EnrollError as error:
            yield Check(
                name="payments setup",
                state=error.code,
                cause=str(error),
                mend=_MENDS["payments"],
            )

    def _losses(self) -> Iterator[Check]:
        """What observers have lost, here and in the workers that were seen."""
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


def _front(url: str) -> Iterator[Check]:
    """Ask what stands in front whether it is known to be there."""
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
    """Return status, content type and body of an answer, or why there is none."""
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
    # A redirect is somebody else's answer: it is reported, not followed.
    try:
        answer = opener().open(request)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        kind = answer.headers.get_content_type()
        return int(answer.status), kind, answer.read(_MAX_READ)


def _door(url: str, path: str, wanted: set[int]) -> Check:
    """Knock without a signature or secret: only our own refusal is right."""
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
        cause = f"{status} {kind}, where our own refusal was due"
        mend = "is this the URL of the mount?"
    return Check(name=name, state=f"http_{status}", cause=cause, mend=mend)
