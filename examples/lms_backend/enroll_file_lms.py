# SPDX-License-Identifier: MIT
"""
An example backend: a learning platform that is one SQLite file.

It stands for any platform with a way to find and to add learners and enrolments.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.errors import (
    BackendRejectedError,
    CourseNotFoundError,
    LMSUnavailableError,
    SettingsError,
)
from frappe_enroll_sdk.models import Course, Learner, LMSEnrollment, Page
from frappe_enroll_sdk.money import Money


if TYPE_CHECKING:
    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings

_SCHEMA = """
CREATE TABLE IF NOT EXISTS courses (
    id TEXT PRIMARY KEY COLLATE NOCASE, title TEXT, price INTEGER, currency TEXT,
    published INTEGER
);
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, full_name TEXT);
CREATE TABLE IF NOT EXISTS enrollments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
    learner TEXT COLLATE NOCASE, course TEXT COLLATE NOCASE, progress REAL,
    made_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')), made_by TEXT
);
"""
_COLUMNS = "name, learner, course, progress, made_at, made_by"
#: Who we are on the platform.
_USER = "shop"


@hookimpl
def register_backends(register: Callable[[str, str, str], None]) -> None:
    """Bring the LMS backend ``file``."""
    register("lms", "file", "enroll_file_lms:FileLMS")


class FileLMS:
    """`LMS` on one SQLite file; a connection for each call, so threads share none."""

    def __init__(self, path: str, *, call_timeout_s: float = 5.0) -> None:
        self.path, self.call_timeout_s = path, call_timeout_s

    @classmethod
    def from_settings(cls, _settings: Settings, _clock: Clock) -> Self:
        """Build it from the variable ``FILE_LMS_PATH``."""
        path = os.environ.get("FILE_LMS_PATH")
        if not path:
            raise SettingsError("FILE_LMS_PATH: must name the platform's file")
        return cls(path)

    def create_platform(self) -> None:
        """Make an empty platform."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(_SCHEMA)

    def add_course(
        self, name: str, *, price: Money | None = None, published: bool = True
    ) -> None:
        """Put a course into the catalogue."""
        minor = price.amount_minor if price else None
        row = (name, name.title(), minor, price.currency if price else None, published)
        with self._open(None) as connection:
            connection.execute("INSERT INTO courses VALUES (?, ?, ?, ?, ?)", row)

    @contextmanager
    def _open(self, timeout_s: float | None) -> Iterator[sqlite3.Connection]:
        # Without "create": a platform that is not there is down, not empty.
        wait_s = self.call_timeout_s if timeout_s is None else timeout_s
        try:
            with (
                closing(
                    sqlite3.connect(
                        f"file:{self.path}?mode=rw", timeout=wait_s, uri=True
                    )
                ) as connection,
                connection,
            ):
                yield connection
        except sqlite3.OperationalError as error:
            raise LMSUnavailableError(f"the platform's file: {error}") from error

    def ping(self, *, timeout_s: float | None = None) -> None:
        """See `LMS.ping`."""
        self.find_enrollments("", "", timeout_s=timeout_s)

    def whoami(self, *, timeout_s: float | None = None) -> str:
        """See `LMS.whoami`: the platform has one user for us."""
        self.ping(timeout_s=timeout_s)
        return _USER

    def get_course(self, course_id: str, *, timeout_s: float | None = None) -> Course:
        """See `LMS.get_course`."""
        with self._open(timeout_s) as connection:
            row = connection.execute(
                "SELECT * FROM courses WHERE id = ? AND published", (course_id,)
            ).fetchone()
        if row is None:
            raise CourseNotFoundError(field="course_id")
        return _course(row)

    def list_courses(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Course]:
        """See `LMS.list_courses`."""
        with self._open(None) as connection:
            rows = connection.execute(
                "SELECT * FROM courses WHERE published AND id > ? ORDER BY id LIMIT ?",
                (cursor or "", limit + 1),
            ).fetchall()
        items = tuple(_course(row) for row in rows[:limit])
        more = len(rows) > limit
        return Page(items=items, next_cursor=items[-1].id if more else None)

    def find_user(
        self, email: str, *, timeout_s: float | None = None
    ) -> Learner | None:
        """See `LMS.find_user`."""
        name = email.strip().lower()
        with self._open(timeout_s) as connection:
            row = connection.execute(
                "SELECT full_name FROM users WHERE name = ?", (name,)
            ).fetchone()
        return Learner(name=name, email=name, full_name=row[0]) if row else None

    def create_user(
        self, email: str, full_name: str | None, *, timeout_s: float | None = None
    ) -> Learner:
        """See `LMS.create_user`."""
        with self._open(timeout_s) as connection:
            connection.execute(
                "INSERT INTO users VALUES (?, ?) ON CONFLICT DO NOTHING",
                (email.strip().lower(), full_name),
            )
        user = self.find_user(email, timeout_s=timeout_s)
        if user is None:
            raise LMSUnavailableError("the new user is not there", unclear=True)
        return user

    def find_enrollments(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[LMSEnrollment, ...]:
        """See `LMS.find_enrollments`."""
        with self._open(timeout_s) as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM enrollments "  # noqa: S608  own names
                "WHERE learner = ? AND course = ? ORDER BY number",
                (learner, course_id),
            ).fetchall()
        return tuple(_enrollment(row) for row in rows)

    def list_enrollments(
        self,
        *,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[LMSEnrollment]:
        """See `LMS.list_enrollments`."""
        stamp = f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if since else ""
        with self._open(None) as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM enrollments "  # noqa: S608  own names
                "WHERE name > ? AND made_at >= ? ORDER BY name LIMIT ?",
                (cursor or "", stamp, limit + 1),
            ).fetchall()
        items = tuple(_enrollment(row) for row in rows[:limit])
        return Page(
            items=items, next_cursor=items[-1].name if len(rows) > limit else None
        )

    def insert_enrollment(
        self,
        learner: str,
        course_id: str,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """See `LMS.insert_enrollment`."""
        with self._open(timeout_s) as connection:
            course = connection.execute(
                "SELECT id FROM courses WHERE id = ?", (course_id,)
            ).fetchone()
            if course is None:
                raise BackendRejectedError(f"there is no course {course_id}")
            row = (secrets.token_hex(5), learner.lower(), course[0], progress or 0.0)
            made = connection.execute(
                "INSERT INTO enrollments (name, learner, course, progress, made_by) "  # noqa: S608  own names
                f"VALUES (?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
                (*row, _USER),
            ).fetchone()
        return _enrollment(made)

    def delete_enrollment(self, name: str, *, timeout_s: float | None = None) -> bool:
        """See `LMS.delete_enrollment`."""
        with self._open(timeout_s) as connection:
            done = connection.execute("DELETE FROM enrollments WHERE name = ?", (name,))
            return done.rowcount == 1

    def close(self) -> None:
        """See `LMS.close`: nothing stays open."""


def _course(row: tuple[Any, ...]) -> Course:
    name, title, minor, currency, published = row
    price = None if minor is None else Money(minor, currency)
    return Course(id=name, title=title, price=price, published=bool(published))


def _enrollment(row: tuple[Any, ...]) -> LMSEnrollment:
    name, learner, course, progress, made_at, made_by = row
    return LMSEnrollment(
        name=name,
        learner=learner,
        course_id=course,
        creation=made_at,
        modified=made_at,
        modified_by=made_by,
        progress=progress,
    )
