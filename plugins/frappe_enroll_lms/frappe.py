# SPDX-License-Identifier: MIT
"""`FrappeLMS`: the LMS's primitive verbs on a fenced `frappeclient.FrappeClient`."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from frappe_enroll_sdk.checks import Check
from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.codec import cursor_of, parts_of
from frappe_enroll_sdk.deadline import within
from frappe_enroll_sdk.errors import (
    CourseNotFoundError,
    LMSUnavailableError,
    MissingExtraError,
    SettingsError,
    ValidationError,
)
from frappe_enroll_sdk.links import course_link
from frappe_enroll_sdk.models import Course, Learner, LMSEnrollment, Page, Sale
from frappe_enroll_sdk.money import Money, from_major


try:
    from frappeclient import FrappeClient

    from .diagnose import diagnose
    from .fence import FencedSession, RefusedStatusError
    from .holds import holds_of
    from .selling import Books, call_method
except ImportError as error:  # the text is the command that fixes it
    raise MissingExtraError("lms", "frappe-client") from error


if TYPE_CHECKING:
    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings


__all__ = ("FrappeLMS",)


_ENROLLMENT, _COURSE, _USER = "LMS Enrollment", "LMS Course", "User"
_WHOAMI = "frappe.auth.get_logged_user"
_NOT_FOUND, _CONFLICT = 404, 409
#: Most rows read for one learner and course; a site has one, or a few by mistake.
_MOST_ROWS = 500
_FURTHEST_ZONE = timedelta(hours=12)
_COURSE_FIELDS = [
    "name",
    "title",
    "published",
    "paid_course",
    "course_price",
    "currency",
]


class FrappeLMS:
    """
    `LMS` on Frappe LMS over REST.

    One client per thread and process. The API user should have the role Moderator, the
    least privileged one that can look up, enroll and create users.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        *,
        site: str = "",
        timeout_s: float = 15.0,
        welcome_mail: bool = False,
        enroll_method: str = "",
        books: Books | None = None,
        creates_users: bool = True,
    ) -> None:
        missing = [
            f"{name}: is not set"
            for name, value in (
                ("FRAPPE_LMS_URL", url),
                ("FRAPPE_LMS_API_KEY", api_key),
                ("FRAPPE_LMS_API_SECRET", api_secret),
            )
            if not value
        ]
        if missing:
            raise SettingsError(missing)
        self._url = url.rstrip("/")
        self._key, self._secret, self._site = api_key, api_secret, site
        self.call_timeout_s = timeout_s
        self._welcome_mail, self._method = welcome_mail, enroll_method
        self._books, self._creates_users = books, creates_users
        self._local = threading.local()
        self._user = ""

    @classmethod
    def from_settings(cls, settings: Settings, _clock: Clock) -> Self:
        """Build it from the ``FRAPPE_LMS_…`` settings."""
        return cls(
            settings.frappe_lms_url,
            settings.frappe_lms_api_key.value,
            settings.frappe_lms_api_secret.value,
            site=settings.frappe_lms_site,
            timeout_s=settings.frappe_lms_timeout_s,
            welcome_mail=settings.welcome_mail,
            enroll_method=settings.frappe_lms_enroll_method,
            books=Books.from_settings(settings),
            creates_users=settings.missing_learners == "create",
        )

    @property
    def sells(self) -> bool:
        """See `SellingLMS.sells`."""
        return bool(self._method) or self._books is not None

    @property
    def keeps_books(self) -> bool:
        """See `SellingLMS.keeps_books`."""
        return self._books is not None

    @contextmanager
    def _client(self, verb: str, timeout_s: float | None) -> Iterator[Any]:
        """Yield this thread's client; all its calls in the block share one deadline."""
        client = getattr(self._local, "client", None)
        if client is None or self._local.pid != os.getpid():
            client = FrappeClient(self._url)
            client.session = FencedSession(self._site)
            client.authenticate(self._key, self._secret)
            self._local.client, self._local.pid = client, os.getpid()
        session = client.session
        session.verb, session.timeout_s = verb, timeout_s or self.call_timeout_s
        with within(session.timeout_s):
            yield client

    def close(self) -> None:
        """Close this thread's connections; the next call opens new ones."""
        client = getattr(self._local, "client", None)
        if client is not None:
            client.session.close()
            self._local.client = None

    def ping(self, *, timeout_s: float | None = None) -> None:
        """See `LMS.ping`."""
        with self._client("ping", timeout_s) as client:
            _rows(client.get_list(_ENROLLMENT, fields=["name"], limit_page_length=1))

    def whoami(self, *, timeout_s: float | None = None) -> str:
        """See `LMS.whoami`; a key's user does not change, so it is cached."""
        if not self._user:
            with self._client("whoami", timeout_s) as client:
                # frappe-client's own method adds a slash that not every server accepts.
                url = f"{self._url}/api/method/{_WHOAMI}"
                user = client.session.get(url).json().get("message")
            if not isinstance(user, str) or not user:
                raise LMSUnavailableError("the LMS answered 200 with unexpected data")
            self._user = user
        return self._user

    def get_course(self, course_id: str, *, timeout_s: float | None = None) -> Course:
        """See `LMS.get_course`."""
        try:
            found = self._get(_COURSE, course_id, "get_course", timeout_s)
        except RefusedStatusError as error:
            if error.status == _NOT_FOUND:
                raise CourseNotFoundError(field="course_id") from error
            raise
        course = self._course(found)
        if not course.published:
            raise CourseNotFoundError(field="course_id")
        return course

    def _get(
        self, doctype: str, name: str, verb: str, timeout_s: float | None
    ) -> Mapping[str, Any]:
        quoted = _quoted(name)
        with self._client(verb, timeout_s) as client:
            found = client.get_doc(quote(doctype), quoted)
        if not isinstance(found, dict) or "name" not in found:
            raise LMSUnavailableError("the LMS answered 200 with unexpected data")
        return found

    def _course(self, row: Mapping[str, Any]) -> Course:
        name = str(row["name"])
        price, flaw = _price(row)
        return Course(
            id=name,
            title=str(row.get("title") or name),
            price=price,
            flaw=flaw,
            published=bool(row.get("published")),
            url=course_link(self._url, name),
        )

    def list_courses(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Course]:
        """See `LMS.list_courses`."""
        after = parts_of(cursor, (str,))
        filters: list[list[Any]] = [["published", "=", 1]]
        if after is not None:
            filters.append(["name", ">", after[0]])
        with self._client("list_courses", None) as client:
            found = client.get_list(
                _COURSE,
                fields=_COURSE_FIELDS,
                filters=filters,
                limit_page_length=limit + 1,
                order_by="name asc",
            )
        rows, unreadable = _page(found, after)
        items = tuple(self._course(row) for row in rows[:limit])
        more = cursor_of(items[-1].id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more, unreadable=unreadable)

    def find_user(
        self, email: str, *, timeout_s: float | None = None
    ) -> Learner | None:
        """See `LMS.find_user`."""
        try:
            return _learner(self._get(_USER, email.strip(), "find_user", timeout_s))
        except RefusedStatusError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def create_user(
        self, email: str, full_name: str | None, *, timeout_s: float | None = None
    ) -> Learner:
        """See `LMS.create_user`."""
        address = email.strip().lower()
        # LMS 2.61 loops for ever on a user without a first name.
        first, _, last = (full_name or address.split("@", 1)[0]).strip().partition(" ")
        user = {
            "doctype": _USER,
            "email": address,
            "first_name": first or address,
            "last_name": last.strip(),
            # The LMS derives the username from the name, which two people may share.
            "username": f"learner{SYSTEM.token_hex(6)}",
            "send_welcome_email": int(self._welcome_mail),
        }
        with within(timeout_s or self.call_timeout_s):
            try:
                with self._client("create_user", timeout_s) as client:
                    return _learner(_document(client.insert(user)))
            except RefusedStatusError as error:
                if error.status != _CONFLICT:
                    raise
            return _learner(self._get(_USER, address, "find_user", timeout_s))

    def find_enrollments(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[LMSEnrollment, ...]:
        """See `LMS.find_enrollments`."""
        with self._client("find_enrollments", timeout_s) as client:
            rows = _rows(
                client.get_list(
                    _ENROLLMENT,
                    # All fields: their names differ between versions of the LMS.
                    fields=["*"],
                    filters=[["member", "=", learner], ["course", "=", course_id]],
                    limit_page_length=_MOST_ROWS + 1,
                    order_by="creation asc",
                )
            )
        if len(rows) > _MOST_ROWS:
            # The rows cut off could include one of ours.
            raise LMSUnavailableError(
                f"the LMS lists more than {_MOST_ROWS} rows of one learner and course"
            )
        found = [_enrollment(row) for row in rows]
        return tuple(sorted(found, key=lambda row: (row.creation, row.name)))

    def list_enrollments(
        self,
        *,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[LMSEnrollment]:
        """See `LMS.list_enrollments`."""
        after = parts_of(cursor, (str,))
        filters = [["name", ">", after[0]]] if after else []
        if since is not None:
            # The site's timestamps are naive, and at most 12 hours behind UTC.
            stamp = f"{since.astimezone(UTC) - _FURTHEST_ZONE:%Y-%m-%d %H:%M:%S}"
            filters.append(["creation", ">=", stamp])
        with self._client("list_enrollments", None) as client:
            found = client.get_list(
                _ENROLLMENT,
                fields=["*"],
                filters=filters or None,
                limit_page_length=limit + 1,
                order_by="name asc",
            )
        rows, unreadable = _page(found, after)
        items = tuple(_enrollment(row) for row in rows[:limit])
        last = cursor_of(items[-1].name) if len(rows) > limit else None
        return Page(items=items, next_cursor=last, unreadable=unreadable)

    def insert_enrollment(
        self,
        learner: str,
        course_id: str,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """See `LMS.insert_enrollment`."""
        return self._insert(learner, course_id, progress, timeout_s)

    def enroll(
        self,
        learner: str,
        course_id: str,
        sale: Sale,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """See `SellingLMS.enroll`."""
        if self._method:
            with self._client("insert_enrollment", timeout_s) as client:
                name = call_method(
                    client.session, self._url, self._method, learner, course_id, sale
                )
            return LMSEnrollment(name=name, learner=learner, course_id=course_id)
        payment = None
        with within(timeout_s or self.call_timeout_s):
            if self._books is not None and sale.paid:
                with self._client("record_payment", timeout_s) as client:
                    payment = self._books.record(client, learner, course_id, sale)
            return self._insert(learner, course_id, progress, timeout_s, payment)

    def mark_sale(
        self, sale: Sale, *, received: bool, timeout_s: float | None = None
    ) -> None:
        """See `SellingLMS.mark_sale`."""
        if self._books is not None and sale.paid:
            with self._client("mark_sale", timeout_s) as client:
                self._books.mark(client, str(sale.payment_id), received=received)

    def find_holds(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """See `HoldingLMS.find_holds`: certificates, batches and programs."""
        with self._client("find_holds", timeout_s) as client:
            return tuple(holds_of(client.session, self._url, learner, course_id))

    def diagnose(
        self,
        *,
        now: datetime,  # noqa: ARG002  part of the protocol
        public_url: str,  # noqa: ARG002  the same
    ) -> tuple[Check, ...]:
        """See `Diagnosable.diagnose`: the key's permissions, one by one."""
        with self._client("diagnose", None) as client:
            found = diagnose(
                client.session,
                self._url,
                creates_users=self._creates_users,
                books=self._books,
            )
            return tuple(found)

    def _insert(
        self,
        learner: str,
        course_id: str,
        progress: float | None,
        timeout_s: float | None,
        payment: str | None = None,
    ) -> LMSEnrollment:
        row: dict[str, Any] = {
            "doctype": _ENROLLMENT,
            "member": learner,
            "course": course_id,
            "member_type": "Student",
        }
        if progress is not None:
            row["progress"] = progress
        if payment is not None:
            row["payment"] = payment
        with self._client("insert_enrollment", timeout_s) as client:
            return _enrollment(_document(client.insert(row)))

    def delete_enrollment(self, name: str, *, timeout_s: float | None = None) -> bool:
        """See `LMS.delete_enrollment`."""
        try:
            path = f"{quote(_ENROLLMENT)}/{_quoted(name)}"
            with self._client("delete_enrollment", timeout_s) as client:
                client.session.delete(f"{self._url}/api/resource/{path}")
        except RefusedStatusError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True


def _quoted(name: str) -> str:
    """Quote a name as the last part of a path, which the client does not do."""
    if name in {"", ".", ".."}:
        # These would lead to another resource (RFC 3986, 5.2.4).
        raise RefusedStatusError("no document can have this name", _NOT_FOUND, None)
    return quote(name, safe="")


def _rows(answer: Any) -> list[Mapping[str, Any]]:
    rows = _named(answer)
    if len(rows) < len(answer):
        raise LMSUnavailableError("the LMS answered 200 with unexpected data")
    return rows


def _named(answer: Any) -> list[Mapping[str, Any]]:
    """Return a list's rows that have a name."""
    if not isinstance(answer, list):
        raise LMSUnavailableError("the LMS answered 200 with unexpected data")
    return [row for row in answer if isinstance(row, dict) and row.get("name")]


def _page(
    answer: Any, after: list[Any] | None
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """
    Return a page's rows, and those that can't be read ("name: why").

    A page that begins with the last row of the one before is not the next page.
    """
    rows = _named(answer)
    unreadable = ("?: a row without a name",) * (len(answer) - len(rows))
    if after is not None and any(row.get("name") == after[0] for row in rows):
        raise LMSUnavailableError("the LMS repeats a page: its list never ends")
    return rows, unreadable


def _document(answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, dict) or "name" not in answer:
        raise LMSUnavailableError(
            "the LMS answered 200 with unexpected data", unclear=True
        )
    return answer


def _learner(row: Mapping[str, Any]) -> Learner:
    return Learner(
        name=str(row["name"]),
        email=str(row.get("email") or row["name"]),
        full_name=row.get("full_name") or row.get("first_name"),
        enabled=bool(row.get("enabled", 1)),
    )


def _enrollment(row: Mapping[str, Any]) -> LMSEnrollment:
    try:
        told = float(row.get("progress") or 0.0)
    except (TypeError, ValueError):
        told = math.nan
    progress = told if math.isfinite(told) else None
    return LMSEnrollment(
        name=str(row["name"]),
        learner=str(row.get("member", "")),
        course_id=str(row.get("course", "")),
        creation=str(row.get("creation", "")),
        modified=str(row.get("modified", "")),
        modified_by=str(row.get("modified_by", "")),
        progress=progress or 0.0,
        # What can't be read must not be removed either.
        member_type="?"
        if progress is None
        else str(row.get("member_type") or "Student"),
        batch=row.get("enrollment_from_batch") or row.get("batch_old"),
        certificate=row.get("certificate"),
    )


def _price(row: Mapping[str, Any]) -> tuple[Money | None, str]:
    """Return a course's price, and why that can't be read ("" = it can)."""
    if not row.get("paid_course"):
        return None, ""
    amount, currency = row.get("course_price") or 0, str(row.get("currency") or "")
    try:
        price = from_major(amount, currency.strip().lower())
    except ValidationError as error:
        # An amount without a currency, or in one that is not current.
        return None, f"its price ({amount} {currency or '?'}) can't be read: {error}"
    return (price if price.amount_minor > 0 else None), ""
